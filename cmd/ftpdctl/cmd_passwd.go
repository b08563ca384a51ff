package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"sallyport/internal/config"
	"sallyport/internal/crypt"
	"sallyport/internal/logging"
	"sallyport/internal/userfile"
)

// defaultUsers and defaultGroups are edited where neither an option nor the
// configuration names a file.
const (
	defaultUsers  = "/etc/sallyport/users"
	defaultGroups = "/etc/sallyport/groups"
)

const passwdLong = `passwd edits a users file (auth.file.users of sallyport.hcl(5)): accounts of the FTP
server that are no accounts of the system. It works on the file with your own
rights; the daemon sees a change at the next login.

FILE is that of the configuration, or ` + defaultUsers + `. A password is asked for
twice without echo, or read from the first line of standard input with --stdin. It is
never an argument: other users could see it.`

// passwdApp is what the passwd commands share.
type passwdApp struct {
	*app
	file   string
	config string
	scheme string
	stdin  bool
}

func newPasswd(a *app) *cobra.Command {
	p := &passwdApp{app: a}
	c := &cobra.Command{
		Use:   "passwd",
		Short: "edit a users file",
		Long:  passwdLong,
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return missing(" (see ftpdctl passwd --help)")
		},
	}
	c.PersistentFlags().StringVarP(&p.file, "file", "f", "", "users or groups file (default: that of the configuration)")
	c.PersistentFlags().StringVar(&p.config, "config", defaultConfig, "configuration that names the file")
	c.AddCommand(p.newAdd(), p.newChange(), p.newSet(), p.newList(), p.newGroup(),
		p.simple("lock", "make an account's password unusable, keep it", "locked", userfile.Lock),
		p.simple("unlock", "undo lock", "unlocked", userfile.Unlock),
		p.simple("delete", "remove an account", "deleted", userfile.Delete))
	return c
}

// users is the file to edit; groups is its sibling for groups.
func (p *passwdApp) users() (string, error)  { return p.path(defaultUsers, false) }
func (p *passwdApp) groups() (string, error) { return p.path(defaultGroups, true) }

// path is the file of the option, else of the configuration, else the usual
// one. A configuration that cannot be used is an error: the edit would land in a
// file that the daemon does not read.
func (p *passwdApp) path(usual string, groups bool) (string, error) {
	if p.file != "" {
		return p.file, nil
	}
	if _, err := os.Stat(p.config); errors.Is(err, fs.ErrNotExist) && p.config == defaultConfig {
		return usual, nil
	}
	pol, diags := config.Load(p.config, facts())
	if pol == nil {
		return "", fmt.Errorf("%w\nthe configuration does not say which file to edit: name it by --file", diags.Err())
	}
	auth := pol.Hosts[0].Base.Auth
	name := auth.Users
	if groups {
		name = auth.Groups
	}
	if name == "" {
		return usual, nil
	}
	return name, nil
}

// passwordFlags adds the options that say where a new password comes from.
func (p *passwdApp) passwordFlags(c *cobra.Command) {
	c.Flags().StringVar(&p.scheme, "hash", "", "how the password is stored: "+strings.Join(crypt.Schemes(), ", "))
	c.Flags().BoolVar(&p.stdin, "stdin", false, "read the password from the first line of standard input")
	_ = c.RegisterFlagCompletionFunc("hash", cobra.FixedCompletions(crypt.Schemes(), cobra.ShellCompDirectiveNoFileComp))
}

// password asks for one that is long enough; the caller's edit has not begun.
func (p *passwdApp) password(name string) ([]byte, error) {
	if p.stdin {
		return readPassword(p.in)
	}
	return askPassword(name, p.err)
}

// userFlags are the fields of an account.
type userFlags struct {
	user   userfile.User
	root   bool
	locked bool
}

func (u *userFlags) add(c *cobra.Command) {
	c.Flags().Uint32Var(&u.user.UID, "uid", 0, "numeric user id the account's processes get")
	c.Flags().Uint32Var(&u.user.GID, "gid", 0, "numeric primary group id (default for a new account: that of --uid)")
	c.Flags().StringVar(&u.user.Home, "home", "", "home directory")
	c.Flags().StringVar(&u.user.Shell, "shell", "", "login shell (default "+userfile.DefaultShell+")")
	c.Flags().StringVar(&u.user.Gecos, "gecos", "", "full name or remark")
	c.Flags().BoolVar(&u.root, "allow-root", false, "uid or gid 0 is meant")
}

func (p *passwdApp) newAdd() *cobra.Command {
	var u userFlags
	c := &cobra.Command{
		Use:   "add NAME --uid N --home DIR",
		Short: "add an account",
		Example: `  ftpdctl passwd add web --uid 2001 --home /srv/www
  pwgen 20 1 | ftpdctl passwd add backup --uid 2002 --gid 2002 --home /srv/backup --stdin`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			u.user.Name = args[0]
			if !cmd.Flags().Changed("gid") {
				u.user.GID = u.user.UID
			}
			file, err := p.users()
			if err != nil {
				return err
			}
			if err := userfile.ValidName(u.user.Name); err != nil {
				return err
			}
			if _, err := userfile.LookupUser(file, u.user.Name); err == nil {
				return fmt.Errorf("users file %q: user %s: %w", file, u.user.Name, userfile.ErrExists)
			} else if !errors.Is(err, userfile.ErrNoEntry) && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("users file %q: %w", file, err)
			}
			if !u.locked {
				pass, err := p.password(u.user.Name)
				if err != nil {
					return err
				}
				defer clear(pass)
				if len(pass) < userfile.DefaultMinLength {
					return fmt.Errorf("%w: %d bytes, at least %d", userfile.ErrTooWeak, len(pass), userfile.DefaultMinLength)
				}
				if u.user.Hash, err = userfile.Hash(pass, p.scheme); err != nil {
					return err
				}
			}
			if err := userfile.SetUser(file, u.user, userfile.Options{New: true, Root: u.root}); err != nil {
				return fmt.Errorf("users file %q: %w", file, err)
			}
			return p.done(file, "user", u.user.Name, "added")
		},
	}
	u.add(c)
	c.Flags().BoolVar(&u.locked, "locked", false, "without a password: nobody can log in until one is set")
	for _, f := range []string{"uid", "home"} {
		_ = c.MarkFlagRequired(f)
	}
	p.passwordFlags(c)
	return c
}

func (p *passwdApp) newChange() *cobra.Command {
	var u userFlags
	c := &cobra.Command{
		Use:     "change NAME",
		Short:   "change an account's ids, home, shell or remark; its password stays",
		Example: "  ftpdctl passwd change web --home /srv/www2",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := p.users()
			if err != nil {
				return err
			}
			old, err := userfile.LookupUser(file, args[0])
			if err != nil {
				return fmt.Errorf("users file %q: %w", file, err)
			}
			changed := false
			for name, set := range map[string]func(){
				"uid":   func() { old.UID = u.user.UID },
				"gid":   func() { old.GID = u.user.GID },
				"home":  func() { old.Home = u.user.Home },
				"shell": func() { old.Shell = u.user.Shell },
				"gecos": func() { old.Gecos = u.user.Gecos },
			} {
				if cmd.Flags().Changed(name) {
					changed = true
					set()
				}
			}
			if !changed {
				return errors.New("nothing to change: name a field, such as --home")
			}
			old.Hash = "" // the one in the file at the time of the edit
			if err := userfile.SetUser(file, old, userfile.Options{Root: u.root}); err != nil {
				return fmt.Errorf("users file %q: %w", file, err)
			}
			return p.done(file, "user", old.Name, "changed")
		},
	}
	u.add(c)
	return c
}

func (p *passwdApp) newSet() *cobra.Command {
	c := &cobra.Command{
		Use:   "set NAME",
		Short: "give an account a new password; a locked one is unlocked",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			file, err := p.users()
			if err != nil {
				return err
			}
			if _, err := userfile.LookupUser(file, args[0]); err != nil {
				return fmt.Errorf("users file %q: %w", file, err)
			}
			pass, err := p.password(args[0])
			if err != nil {
				return err
			}
			defer clear(pass)
			if err := userfile.SetPassword(file, args[0], pass, userfile.Options{Scheme: p.scheme}); err != nil {
				return fmt.Errorf("users file %q: %w", file, err)
			}
			return p.done(file, "user", args[0], "has a new password")
		},
	}
	p.passwordFlags(c)
	return c
}

// simple is a command that is one edit of one account.
func (p *passwdApp) simple(verb, short, done string, edit func(path, name string) error) *cobra.Command {
	return &cobra.Command{
		Use:   verb + " NAME",
		Short: short,
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			file, err := p.users()
			if err != nil {
				return err
			}
			if err := edit(file, args[0]); err != nil {
				return fmt.Errorf("users file %q: %w", file, err)
			}
			return p.done(file, "user", args[0], done)
		},
	}
}

// userJSON is an account without its hash.
type userJSON struct {
	Name   string `json:"name"`
	UID    uint32 `json:"uid"`
	GID    uint32 `json:"gid"`
	Gecos  string `json:"gecos,omitempty"`
	Home   string `json:"home"`
	Shell  string `json:"shell"`
	Hash   string `json:"hash"` // the scheme, or "none"
	Locked bool   `json:"locked"`
}

func (p *passwdApp) newList() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "list the accounts, without their hashes",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			file, err := p.users()
			if err != nil {
				return err
			}
			l, err := userfile.ListUsers(file)
			if err != nil {
				return fmt.Errorf("users file %q: %w", file, err)
			}
			out := []userJSON{}
			for _, u := range l {
				scheme := crypt.Scheme(strings.TrimLeft(u.Hash, "!"))
				if scheme == "" {
					scheme = "none"
				}
				out = append(out, userJSON{u.Name, u.UID, u.GID, u.Gecos, u.Home, u.Shell, scheme, strings.HasPrefix(u.Hash, "!")})
			}
			return p.print(map[string]any{"file": file, "users": out}, func() error {
				for _, u := range out {
					state := u.Hash
					if u.Locked {
						state += ", locked"
					}
					p.printf("%-20s %6d:%-6d %-24s %s\n", logging.Escape(u.Name), u.UID, u.GID, logging.Escape(u.Home), state)
				}
				return nil
			})
		},
	}
}

// done says what was edited.
func (p *passwdApp) done(file, what, name, verb string) error {
	return p.print(map[string]string{"file": file, what: name, "done": verb}, func() error {
		p.printf("%s: %s %s %s\n", file, what, logging.Escape(name), verb)
		return nil
	})
}
