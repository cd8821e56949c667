package route

// Events is how many events a cluster has taken.
func (c *Cluster) Events() int64 { return c.events }
