package delay

import "time"

// The grid that deadlines lie on.
const (
	Finest = 5 * time.Millisecond // its step at the low end
	coarse = 16                   // steps up to which a step is kept; then it doubles
)

// GridStep returns the step of the grid around d: 5 ms up to 80 ms, then twice
// as much each time d doubles.
func GridStep(d time.Duration) time.Duration {
	step := Finest
	for step*coarse < d {
		step *= 2
	}
	return step
}

// GridUp returns the first point of the grid that is not below d, at least one
// step.
func GridUp(d time.Duration) time.Duration {
	step := GridStep(d)
	return max((d+step-1)/step, 1) * step
}

// Overrun is the step by which an answer is late whose work was not done at its
// deadline: half the deadline, so that a little more work does not show.
func Overrun(deadline time.Duration) time.Duration { return GridUp(deadline / 2) }

// Release returns when an answer leaves, counted from the request: at the
// deadline, or, where its work took longer, at the next step behind it.
func Release(work, deadline time.Duration) time.Duration {
	if work <= deadline {
		return deadline
	}
	step := Overrun(deadline)
	return deadline + (work-deadline+step-1)/step*step
}
