package policy

var leastLoaded = Policy{
	Name:     "least-loaded",
	Doc:      "the instance with the least prompt tokens waiting (prefill) or requests (decode), and its least loaded rank",
	Balances: true,
	New:      func(Setup) Pick { return least },
}

func least(v *View, _ *Request) (instance, rank int) {
	instance = v.Loads.Least()
	return instance, v.Loads.LeastRank(instance)
}
