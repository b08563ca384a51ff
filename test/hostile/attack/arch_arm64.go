package attack

// Arch is what only this architecture has.
var Arch []Attempt
