// Package net moves flows (KV transfers, cross traffic) over shared links, max-min fair.
//
// # What is modelled
//
// A flow has a number of bytes, at most six links and a rate cap; it moves at
//
//	rate = min(cap, lowest share among its links)
//
// where the shares are those of progressive filling (Bertsekas and Gallager, Data
// Networks, 2nd edition, §6.5.2): all rates rise together; a flow stops at its cap or when
// one of its links is full. No flow can then be faster without a flow that is no
// faster becoming slower. A rate holds until a flow starts or ends, and a flow ends
// bytes/rate after its start, rounded up to the next nanosecond.
//
// # Exactness
//
// Everything is an integer, so that a result depends on the flows alone, never on
// the order in which they were recorded or on how often rates were recomputed:
//
//   - capacities and caps are whole bytes a second, rounded down;
//   - a share is the free capacity divided by the flows that still rise, rounded down
//     to 1/1024 byte a second. Links that fill at the same level stop their flows
//     together; a cap that equals the level counts before a full link;
//   - what is left of a flow is counted in 1/1024 of a nanobyte (128 bits), the amount
//     that moves in one nanosecond at 1/1024 byte a second. Each byte is moved once.
//
// # Cost
//
// A link whose flows' caps sum to no more than its capacity can never be full and is
// left out: where there is room, a start or an end costs O(log flows) for the calendar
// and nothing else. Elsewhere only the links whose level changes, and those next to
// them, are solved again (see fill), each in O(f log f) for f flows on it. What
// happens in one nanosecond is solved once.
//
// # What is not modelled
//
// Propagation delay and per-message software (the caller adds τ before or after the
// flow), packet headers and loss, congestion control that takes time to converge,
// routing (the caller names the links) and flows that split over several paths.
package net
