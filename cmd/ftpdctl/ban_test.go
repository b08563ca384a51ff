package main

import (
	"context"

	"sallyport/internal/control"
)

func (d *daemon) Ban(context.Context, string, control.BanRequest) (control.BanResult, error) {
	return control.BanResult{}, nil
}

func (d *daemon) Permit(context.Context, string, control.PermitRequest) (control.PermitResult, error) {
	return control.PermitResult{}, nil
}

func (d *daemon) BanInfo(context.Context, control.BanInfoRequest) (control.BanInfoResult, error) {
	return control.BanInfoResult{}, nil
}

func (d *daemon) BanExplain(context.Context, control.BanExplainRequest) (control.BanExplainResult, error) {
	return control.BanExplainResult{}, nil
}

func (d *daemon) BanImport(context.Context, string, control.BanImportRequest) (control.BanImportResult, error) {
	return control.BanImportResult{}, nil
}
