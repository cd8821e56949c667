package topologies

func reservedNames() []string { return nil }
