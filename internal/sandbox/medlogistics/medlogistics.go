// Package medlogistics is the system that a rehearsal cuts over: its database as
// it was before Auth0, filled with people and their work, and a stand-in for its
// API that takes API keys and, once the schema is there, Auth0's tokens.
//
// The people are made up. Which ones there are follows from their number alone,
// so that two databases with the same population are equal.
package medlogistics
