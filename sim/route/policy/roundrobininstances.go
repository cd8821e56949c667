package policy

var roundRobinInstances = Policy{
	Name:     "round-robin-instances",
	Doc:      "instances in turn, and the least loaded rank of each",
	Balances: true,
	New: func(Setup) Pick {
		return func(v *View, _ *Request) (instance, rank int) {
			instance = int(v.Turn % uint64(v.Instances))
			return instance, v.Loads.LeastRank(instance)
		}
	},
}
