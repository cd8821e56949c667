package validate

import (
	"strings"
	"testing"
)

func TestSplitwise(t *testing.T) {
	text := strings.Join(splitwiseColumns, ",") + "\n" +
		"llama2-70b,a100-80gb,512,4,128,800,55,7900,2\n" +
		"llama2-70b,h100-80gb-pcap,512,4,128,800,55,7900,2\n" +
		"bloom-176b,a100-80gb,512,4,128,800,55,7900,8\n" +
		"llama2-70b,v100,512,4,128,800,55,7900,8\n" +
		"llama2-70b,a100-80gb,512,4,8192,800,55,7900,2\n"
	set, err := Read("split.csv", []byte(text), ReadOptions{})
	if err != nil || len(set.Cases) != 2 || len(set.Skipped) != 4 {
		t.Fatalf("%v, %+v", err, set)
	}
	c := set.Cases[0]
	p, w := c.Scenario.Deployment.Serve, c.Scenario.Workload
	if c.Hardware != "a100" || c.Model != "llama-2-70b" || p.TP != 2 || p.MaxTokens != 2048 || w.Concurrency != 4 || w.Requests != 4 || len(c.Assumed) == 0 {
		t.Errorf("%+v %+v %+v", c, p, w)
	}
	if all, cut := len(c.Measures), len(set.Cases[1].Measures); all != 3 || cut != 2 {
		t.Errorf("%d figures of a whole row, %d of one whose answers ended early", all, cut)
	}
	for i, want := range []string{"capped in power", "unknown model", "unknown chip", "130 tokens of 55.0 ms, not the 8192 stated"} {
		if !strings.Contains(set.Skipped[i].Why, want) {
			t.Errorf("%+v, want %q", set.Skipped[i], want)
		}
	}
}
