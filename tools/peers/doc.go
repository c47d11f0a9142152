// Package peers measures phasegate beside the programs that it is compared with,
// in one run on one machine. It is a module of its own, so that the program's
// own modules stay few.
package peers
