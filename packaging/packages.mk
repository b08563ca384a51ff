# Included by the Makefile: manual pages and packages. nfpm makes both formats
# from packaging/nfpm.yaml; what it packs is staged below dist/stage/ARCH.
NFPM := $(GO) run github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.2
ARCHES ?= amd64 arm64
MAINTAINER ?= Sallyport developers <packages@sallyport.invalid>
# The time of the last commit, so that the same source gives the same bytes.
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 1767225600)
export SOURCE_DATE_EPOCH

# The only program with cgo needs a C compiler and PAM headers of its machine.
PAM_CC_amd64 := $(if $(wildcard /usr/include/security/pam_appl.h),$(shell command -v x86_64-linux-gnu-gcc || { test "$$(uname -m)" = x86_64 && command -v gcc; }))
PAM_CC_arm64 := $(if $(wildcard /usr/include/security/pam_appl.h),$(if $(wildcard /usr/lib/aarch64-linux-gnu/libpam.so),$(shell command -v aarch64-linux-gnu-gcc)))

.PHONY: man
man: ## the manual pages, into dist/man
	@rm -rf dist/man && mkdir -p dist/man
	$(GO) run -ldflags '$(LDFLAGS)' ./cmd/ftpdctl gen-man dist/man
	@sed -e "s/@VERSION@/$(VERSION)/" -e "s/@DATE@/$$(date -u -d @$$SOURCE_DATE_EPOCH +%F)/" packaging/man/sallyport.8 >dist/man/sallyport.8

.PHONY: packages
packages: man ## DEB and RPM for amd64 and arm64, into dist/
	@for arch in $(ARCHES); do $(MAKE) --no-print-directory package-$$arch || exit; done
	@ls -l dist/*.deb dist/*.rpm

.PHONY: package-%
package-%: STAGE = dist/stage/$*
package-%:
	@rm -rf $(STAGE) && mkdir -p $(STAGE)/sbin $(STAGE)/bin $(STAGE)/libexec
	GOARCH=$* $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(STAGE)/sbin/sallyport ./cmd/master
	GOARCH=$* $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(STAGE)/bin/ ./cmd/ftpdctl
	GOARCH=$* $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(STAGE)/libexec/ ./cmd/session ./cmd/authd ./cmd/files ./cmd/owner ./cmd/netd
	@if [ -n "$(PAM_CC_$*)" ]; then set -x; \
	  CC="$(PAM_CC_$*)" CGO_ENABLED=1 GOARCH=$* $(GO) build -trimpath -buildmode=pie -ldflags '$(LDFLAGS) -linkmode external -extldflags "-Wl,-z,relro,-z,now"' -o $(STAGE)/libexec/pam ./cmd/pam; \
	else echo "package-$*: without the pam helper (no C compiler and libpam for $*): unix and file accounts only"; fi
	@packaging/stage.sh $* $(STAGE) $(VERSION) '$(MAINTAINER)'
	@for p in deb rpm; do \
	  ARCH=$* VERSION=$(VERSION) STAGE=$(STAGE) MAINTAINER='$(MAINTAINER)' \
	  DEB_DEPENDS="$$(test -e $(STAGE)/libexec/pam && echo 'libc6 (>= 2.34), libpam0g (>= 0.99.7.1)')" \
	  RPM_DEPENDS="$$(test -e $(STAGE)/libexec/pam && echo 'libpam.so.0()(64bit)')" \
	  $(NFPM) package -f packaging/nfpm.yaml -p $$p -t dist/ || exit; done
