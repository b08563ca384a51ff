package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"sallyport/internal/logging"
	"sallyport/internal/userfile"
)

func (p *passwdApp) newGroup() *cobra.Command {
	c := &cobra.Command{
		Use:   "group",
		Short: "edit a groups file",
		Long: `group edits a groups file (auth.file.groups of sallyport.hcl(5)). FILE is that of the
configuration, or ` + defaultGroups + `.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return missing(" (see ftpdctl passwd group --help)")
		},
	}
	c.AddCommand(p.newGroupSet(true), p.newGroupSet(false), p.newGroupDelete(), p.newGroupList())
	return c
}

func (p *passwdApp) newGroupSet(add bool) *cobra.Command {
	var (
		g    userfile.Group
		root bool
	)
	verb, short, done := "change", "change a group's id or members", "changed"
	if add {
		verb, short, done = "add", "add a group", "added"
	}
	c := &cobra.Command{
		Use:   verb + " NAME",
		Short: short,
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := p.groups()
			if err != nil {
				return err
			}
			g.Name = args[0]
			if !add {
				old, err := userfile.LookupGroup(file, g.Name)
				if err != nil {
					return fmt.Errorf("groups file %q: %w", file, err)
				}
				if !cmd.Flags().Changed("gid") {
					g.GID = old.GID
				}
				if !cmd.Flags().Changed("member") {
					g.Members = old.Members
				}
			}
			if err := userfile.SetGroup(file, g, userfile.Options{New: add, Root: root}); err != nil {
				return fmt.Errorf("groups file %q: %w", file, err)
			}
			return p.done(file, "group", g.Name, done)
		},
	}
	c.Flags().Uint32Var(&g.GID, "gid", 0, "numeric group id")
	c.Flags().StringSliceVar(&g.Members, "member", nil, "members, separated by commas; all of them")
	c.Flags().BoolVar(&root, "allow-root", false, "gid 0 is meant")
	if add {
		_ = c.MarkFlagRequired("gid")
	}
	return c
}

func (p *passwdApp) newGroupDelete() *cobra.Command {
	return &cobra.Command{
		Use:   "delete NAME",
		Short: "remove a group",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			file, err := p.groups()
			if err != nil {
				return err
			}
			if err := userfile.DeleteGroup(file, args[0]); err != nil {
				return fmt.Errorf("groups file %q: %w", file, err)
			}
			return p.done(file, "group", args[0], "deleted")
		},
	}
}

func (p *passwdApp) newGroupList() *cobra.Command {
	type group struct {
		Name    string   `json:"name"`
		GID     uint32   `json:"gid"`
		Members []string `json:"members"`
	}
	return &cobra.Command{
		Use:   "list",
		Short: "list the groups",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			file, err := p.groups()
			if err != nil {
				return err
			}
			data, err := os.ReadFile(file)
			if err != nil {
				return fmt.Errorf("groups file %q: %w", file, err)
			}
			l, _ := userfile.ParseGroups(file, data, userfile.Rules{Root: true})
			out := []group{}
			for _, g := range l.List {
				out = append(out, group{g.Name, g.GID, append([]string{}, g.Members...)})
			}
			return p.print(map[string]any{"file": file, "groups": out}, func() error {
				for _, g := range out {
					p.printf("%-20s %6d %s\n", logging.Escape(g.Name), g.GID, logging.Escape(strings.Join(g.Members, ",")))
				}
				return nil
			})
		},
	}
}
