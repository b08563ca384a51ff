package main

import (
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"sallyport/internal/config"
)

// defaultConfig is where an installed daemon finds its configuration.
const defaultConfig = "/etc/sallyport/sallyport.hcl"

func newConfig(a *app) *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "config",
		Short: "check or show a configuration file",
		Long: `config works on a configuration file, with your own rights and without a running
daemon. FILE is ` + defaultConfig + ` unless another one is named; see
sallyport.hcl(5).`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return missing(": config check or config show")
		},
	}
	c.PersistentFlags().StringVar(&file, "config", defaultConfig, "configuration, where no FILE is named")
	c.AddCommand(newConfigCheck(a, &file), newConfigShow(a, &file))
	return c
}

// facts describe the machine as the daemon that belongs to this ftpdctl sees it.
func facts() config.Facts {
	dir := libexec
	if self, err := os.Executable(); err == nil {
		if _, err := os.Stat(filepath.Join(filepath.Dir(self), "session")); err == nil {
			dir = filepath.Dir(self)
		}
	}
	return config.DetectFacts(dir)
}

// fileArg is the file that the arguments name, else that of --config.
func fileArg(args []string, file *string) string {
	if len(args) == 0 {
		return *file
	}
	return args[0]
}

func newConfigCheck(a *app, named *string) *cobra.Command {
	return &cobra.Command{
		Use:   "check [FILE]",
		Short: "say what is wrong with a configuration file",
		Long: `check reads a configuration file as the daemon would, looks whether the paths,
users and groups it names exist on this machine, whether its keys belong to their
certificates, which lines of its users and groups files do not count, and prints every
error and warning with its place. Run it as root: other users cannot see all of what it
looks at.

Exit status 1: the daemon would refuse the file.`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: files("hcl"),
		RunE: func(_ *cobra.Command, args []string) error {
			file, f := fileArg(args, named), facts()
			p, diags := config.Load(file, f)
			if p != nil {
				diags = append(diags, config.Check(p, f)...)
				diags = append(diags, certificateFaults(p, diags)...)
				diags = append(diags, accountWarnings(p)...)
			}
			bad := diags.HasErrors()
			if diags == nil {
				diags = config.Diagnostics{}
			}
			res := struct {
				File        string             `json:"file"`
				OK          bool               `json:"ok"`
				Diagnostics config.Diagnostics `json:"diagnostics"`
			}{file, !bad, diags}
			err := a.print(res, func() error {
				diags.Write(a.err)
				if !bad {
					a.printf("%s: ok\n", file)
				}
				return nil
			})
			if err == nil && bad {
				return &exitStatus{code: 1}
			}
			return err
		},
	}
}

func newConfigShow(a *app, named *string) *cobra.Command {
	var defaults bool
	c := &cobra.Command{
		Use:   "show [FILE]",
		Short: "print what a configuration file comes to",
		Long: `show prints the configuration that a file comes to: every value that is not the
default, or with --defaults all of them. What it prints can be read back.`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: files("hcl"),
		RunE: func(_ *cobra.Command, args []string) error {
			p, diags := config.Load(fileArg(args, named), facts())
			diags.Write(a.err)
			if p == nil {
				return &exitStatus{code: 1}
			}
			if a.json {
				return config.ShowJSON(a.out, p, defaults)
			}
			return config.Show(a.out, p, defaults)
		},
	}
	c.Flags().BoolVar(&defaults, "defaults", false, "print the defaults too")
	return c
}
