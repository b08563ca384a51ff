package sandbox

import (
	"fmt"
	"slices"

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
	var seen [1024]bool
	once := func(nr uintptr) error {
		if seen[nr] {
			return fmt.Errorf("seccomp profile %s: system call %d is named twice", p.name, nr)
		}
		seen[nr] = true
		return nil
	}
	a := asm{make([]unix.SockFilter, 0, 512)} // a worker compiles its filter at every start
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
	for i := range p.rules {
		r := &p.rules[i]
		if err := once(r.nr); err != nil {
			return nil, err
		}
		if err := a.rule(r, soft); err != nil {
			return nil, fmt.Errorf("seccomp profile %s: system call %d: %w", p.name, r.nr, err)
		}
	}
	for _, v := range []verdict{allow, kill, eperm, enosys} {
		list := p.plain[v]
		for _, nr := range list {
			if err := once(nr); err != nil {
				return nil, err
			}
		}
		for part := range slices.Chunk(list, maxJump) {
			a.oneOf(part)
			a.ret(soft(v))
		}
	}
	a.ret(soft(p.rest))
	return a.code, nil
}

// maxJump is the farthest that a conditional jump is used for; failed is beyond.
const maxJump = 250

// rule appends r's code: what follows its number decides, others go on after it.
func (a *asm) rule(r *rule, soft func(verdict) verdict) error {
	start := len(a.code)
	a.jump(unix.BPF_JEQ, uint32(r.nr), 0, 0)
	for _, clause := range r.any {
		from := len(a.code)
		for _, x := range clause {
			a.cond(x)
		}
		a.ret(soft(r.yes))
		to := len(a.code)
		if to-from > maxJump {
			return fmt.Errorf("clause of %d instructions", to-from)
		}
		for i := from; i < to; i++ { // a failed condition goes on after the clause
			if a.code[i].Jf == failed {
				a.code[i].Jf = uint8(to - i - 1)
			}
			if a.code[i].Jt == failed {
				a.code[i].Jt = uint8(to - i - 1)
			}
		}
	}
	a.ret(soft(r.no))
	length := len(a.code) - start - 1
	if length > 255 {
		return fmt.Errorf("rule of %d instructions", length)
	}
	a.code[start].Jf = uint8(length)
	return nil
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
		matches(a, c.set, failed)
	}
}

// oneOf goes on at the next instruction for a call of the list, and after it for
// any other. The number is loaded.
func (a *asm) oneOf(list []uintptr) { matches(a, list, 1) }

// matches compares what is loaded with a set: one that is in it goes on after the
// comparisons, any other at the jump no from there.
func matches[T uint32 | uintptr](a *asm, set []T, no uint8) {
	for i, v := range set {
		left, otherwise := len(set)-i-1, uint8(0)
		if left == 0 {
			otherwise = no
		}
		a.jump(unix.BPF_JEQ, uint32(v), uint8(left), otherwise)
	}
}
