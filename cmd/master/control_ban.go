package main

import (
	"context"
	"fmt"

	"sallyport/internal/control"
)

// errNoBans answers where no engine runs.
var errNoBans = fmt.Errorf("%w: the ban engine is not running", control.ErrRefused)

// Ban implements control.Backend.
func (b backend) Ban(context.Context, string, control.BanRequest) (control.BanResult, error) {
	return control.BanResult{}, errNoBans
}

// Permit implements control.Backend.
func (b backend) Permit(context.Context, string, control.PermitRequest) (control.PermitResult, error) {
	return control.PermitResult{}, errNoBans
}

// BanInfo implements control.Backend.
func (b backend) BanInfo(context.Context, control.BanInfoRequest) (control.BanInfoResult, error) {
	return control.BanInfoResult{}, errNoBans
}

// BanExplain implements control.Backend.
func (b backend) BanExplain(context.Context, control.BanExplainRequest) (control.BanExplainResult, error) {
	return control.BanExplainResult{}, errNoBans
}

// BanImport implements control.Backend.
func (b backend) BanImport(context.Context, string, control.BanImportRequest) (control.BanImportResult, error) {
	return control.BanImportResult{}, errNoBans
}
