package policy

var powerOfTwo = Policy{
	Name:     "power-of-two",
	Doc:      "the less loaded of two instances drawn at random",
	Balances: true,
	New: func(s Setup) Pick {
		return func(v *View, r *Request) (instance, rank int) {
			a := int(s.Draws.Uniform(r.Number, 0) * float64(v.Instances))
			if v.Instances > 1 {
				// the second differs from the first
				b := int(s.Draws.Uniform(r.Number, 1) * float64(v.Instances-1))
				if b >= a {
					b++
				}
				if v.Loads.Key(b) < v.Loads.Key(a) {
					a = b
				}
			}
			return a, v.Loads.LeastRank(a)
		}
	},
}
