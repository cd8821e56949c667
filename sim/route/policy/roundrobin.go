package policy

var roundRobin = Policy{
	Name:     "round-robin",
	Doc:      "instances in turn, then their ranks in turn",
	Balances: true,
	New: func(Setup) Pick {
		return func(v *View, _ *Request) (instance, rank int) {
			instances := uint64(v.Instances)
			return int(v.Turn % instances), int(v.Turn / instances % uint64(v.Ranks))
		}
	},
}
