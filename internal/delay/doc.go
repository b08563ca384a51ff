// Package delay decides when the answer to a login may leave: it is the
// DelayTable without its memory, which is package shm's, and without a clock,
// which is its caller's. authd asks it; docs/TIMING.md is the argument.
//
// A [Row] holds samples of how long authd's own work for one step took: never
// the time that work waited for its turn, never the client's or the network's.
// From them follows the deadline of the row, which lies above nearly all real
// work and moves slowly. Every answer of a step leaves at its deadline, whatever
// it says; work that takes longer waits for the next step of the grid.
package delay
