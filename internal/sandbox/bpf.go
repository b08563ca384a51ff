package sandbox

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// A small assembler for seccomp filters: straight-line code of loads and
// conditional jumps over struct seccomp_data, in the order the rules are given.

// verdict is a filter's return value.
type verdict uint32

const (
	allow  verdict = unix.SECCOMP_RET_ALLOW
	eperm  verdict = unix.SECCOMP_RET_ERRNO | verdict(unix.EPERM)
	enosys verdict = unix.SECCOMP_RET_ERRNO | verdict(unix.ENOSYS)
	kill   verdict = unix.SECCOMP_RET_KILL_PROCESS
	logged verdict = unix.SECCOMP_RET_LOG
)

// Offsets in struct seccomp_data. Both architectures are little-endian.
const (
	offNr   = 0
	offArch = 4
	offArgs = 16
)

type op uint8

const (
	opEqual   op = iota // low 32 bits & mask == value
	opAtLeast           // low 32 bits >= value, unsigned
	opAtMost            // all 64 bits <= value, value < 2^32
	opOneOf             // low 32 bits in set
)

// cond looks at one argument of a system call. The kernel takes most arguments
// as int: only their low 32 bits count, and only those may be compared. Where
// it takes all 64 bits (pointers, lengths), opAtMost sees them all.
type cond struct {
	arg   uint8
	op    op
	mask  uint32
	value uint32
	set   []uint32
}

func equals(arg uint8, v uint32) cond       { return cond{arg: arg, op: opEqual, mask: ^uint32(0), value: v} }
func lacks(arg uint8, bits uint32) cond     { return cond{arg: arg, op: opEqual, mask: bits} }
func has(arg uint8, bits uint32) cond       { return cond{arg: arg, op: opEqual, mask: bits, value: bits} }
func atLeast(arg uint8, v uint32) cond      { return cond{arg: arg, op: opAtLeast, value: v} }
func atMost(arg uint8, v uint32) cond       { return cond{arg: arg, op: opAtMost, value: v} }
func null(arg uint8) cond                   { return atMost(arg, 0) }
func oneOf(arg uint8, set ...uint32) cond   { return cond{arg: arg, op: opOneOf, set: set} }
func when(conds ...cond) []cond             { return conds }
func only(nr uintptr, any ...[]cond) rule   { return rule{nr: nr, any: any, yes: allow, no: eperm} }
func orKill(nr uintptr, any ...[]cond) rule { return rule{nr: nr, any: any, yes: allow, no: kill} }

// rule decides about one system call by its arguments: yes where all conditions
// of one of the clauses hold, no otherwise.
type rule struct {
	nr  uintptr
	any [][]cond
	yes verdict
	no  verdict
}

// profile is what a process may do. A system call named twice is a mistake.
type profile struct {
	name  string
	rules []rule
	plain map[verdict][]uintptr
	rest  verdict
}

// compile assembles the profile. In Log mode whatever would be refused is done
// and logged.
func (p *profile) compile(m Mode) ([]unix.SockFilter, error) {
	soft := func(v verdict) verdict {
		if m == Log && v != allow {
			return logged
		}
		return v
	}
	seen := make(map[uintptr]bool)
	once := func(nr uintptr) error {
		if seen[nr] {
			return fmt.Errorf("seccomp profile %s: system call %d is named twice", p.name, nr)
		}
		seen[nr] = true
		return nil
	}
	var a asm
	a.load(offArch)
	a.jump(unix.BPF_JEQ, auditArch, 1, 0)
	a.ret(kill) // another architecture's numbers mean other calls
	a.load(offNr)
	if x32Bit != 0 {
		a.jump(unix.BPF_JGE, x32Bit, 0, 1)
		a.ret(kill)
	}
	// Calls with arguments first: plain ones do not reach the program at all,
	// since the kernel keeps a bitmap of the numbers that are always allowed.
	for _, r := range p.rules {
		if err := once(r.nr); err != nil {
			return nil, err
		}
		body, err := r.body(soft)
		if err != nil {
			return nil, fmt.Errorf("seccomp profile %s: system call %d: %w", p.name, r.nr, err)
		}
		a.jump(unix.BPF_JEQ, uint32(r.nr), 0, uint8(len(body)))
		a.code = append(a.code, body...)
	}
	for _, v := range []verdict{allow, kill, eperm, enosys} {
		for _, nr := range p.plain[v] {
			if err := once(nr); err != nil {
				return nil, err
			}
			a.jump(unix.BPF_JEQ, uint32(nr), 0, 1)
			a.ret(soft(v))
		}
	}
	a.ret(soft(p.rest))
	return a.code, nil
}

// body is the rule's code after its number has matched.
func (r *rule) body(soft func(verdict) verdict) ([]unix.SockFilter, error) {
	var a asm
	for _, clause := range r.any {
		var c asm
		for _, x := range clause {
			c.cond(x)
		}
		c.ret(soft(r.yes))
		if len(c.code) > 250 {
			return nil, fmt.Errorf("clause of %d instructions", len(c.code))
		}
		for i := range c.code { // a failed condition goes on after the clause
			if c.code[i].Jf == failed {
				c.code[i].Jf = uint8(len(c.code) - i - 1)
			}
			if c.code[i].Jt == failed {
				c.code[i].Jt = uint8(len(c.code) - i - 1)
			}
		}
		a.code = append(a.code, c.code...)
	}
	a.ret(soft(r.no))
	if len(a.code) > 255 {
		return nil, fmt.Errorf("rule of %d instructions", len(a.code))
	}
	return a.code, nil
}

// failed marks a jump to the end of the clause.
const failed = 0xff

type asm struct{ code []unix.SockFilter }

func (a *asm) load(offset uint32) {
	a.code = append(a.code, unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset})
}

func (a *asm) jump(test uint16, k uint32, yes, no uint8) {
	a.code = append(a.code, unix.SockFilter{Code: unix.BPF_JMP | test | unix.BPF_K, Jt: yes, Jf: no, K: k})
}

func (a *asm) ret(v verdict) {
	a.code = append(a.code, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: uint32(v)})
}

func (a *asm) cond(c cond) {
	low := offArgs + 8*uint32(c.arg)
	switch c.op {
	case opEqual:
		a.load(low)
		if c.mask != ^uint32(0) {
			a.code = append(a.code, unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: c.mask})
		}
		a.jump(unix.BPF_JEQ, c.value, 0, failed)
	case opAtLeast:
		a.load(low)
		a.jump(unix.BPF_JGE, c.value, 0, failed)
	case opAtMost:
		a.load(low + 4)
		a.jump(unix.BPF_JEQ, 0, 0, failed)
		a.load(low)
		a.jump(unix.BPF_JGT, c.value, failed, 0)
	case opOneOf:
		a.load(low)
		for i, v := range c.set {
			left := len(c.set) - i - 1
			no := uint8(0)
			if left == 0 {
				no = failed
			}
			a.jump(unix.BPF_JEQ, v, uint8(left), no)
		}
	}
}
