// Package des is the event core: integer time, the tournament that says which
// entity acts next, and named random streams. It knows nothing of what is
// simulated, and everybody may use it.
package des
