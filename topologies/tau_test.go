package topologies

import (
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
	"pgregory.net/rapid"

	"github.com/clustersim/clustersim/sim/spec"
)

// The totals that the design states, one way: NVLink 0.4 µs, InfiniBand 2.7 µs,
// UB 0.6 µs in a node and 0.95 µs between (half the published 512 B reads of 1.2
// and 1.9 µs), Atlas 950 1.05 µs between cabinets (half of 2.1 µs).
func TestTauTotals(t *testing.T) {
	for _, c := range []struct {
		ref, tier string
		want      spec.Duration
	}{
		{"hgx-h100", "node", 400}, {"nvl72", "rack", 400}, {"vr-nvl72", "rack", 400}, {"hgx-h100:64", "leaf", 2700},
		{"cloudmatrix384", "node", 600}, {"cloudmatrix384", "supernode", 950}, {"atlas950-8192", "supernode", 1050},
		{"supernode8912", "cabinet", 600}, {"supernode8912", "supernode", 1050}, {"supernode8912-flat", "supernode", 1050},
	} {
		x := system(t, c.ref)
		if got := x.Tiers[x.tier(c.tier)].Tau.Path(); got != c.want {
			t.Errorf("%s %s: %s, want %s", c.ref, c.tier, got, c.want)
		}
	}
}

func TestTauPartsAddUp(t *testing.T) {
	for _, name := range Names() {
		for _, tier := range system(t, name).Tiers {
			p := tier.Tau.Parts()
			sum := p.Endpoint + p.Software + p.Switch + p.SerDes + p.FEC + p.Optics + p.Propagation
			within(t, name+" "+tier.Name, sum, tier.Tau.after(1), 1e-9)
		}
	}
}

func TestWithTau(t *testing.T) {
	for _, c := range []struct{ ref, tau, tier, want string }{
		{"supernode8912", "optics=100ns", "supernode", "1.21us"},
		{"supernode8912", "optics=100ns", "cabinet", "600ns"}, // copper has no optics to replace
		{"supernode8912", "cabinet.optics=100ns", "cabinet", "700ns"},
		{"supernode8912", "cpo", "supernode", "1.02us"},
		{"supernode8912", "preset=cpo", "supernode", "1.02us"},
		{"supernode8912", "pluggable", "supernode", "1.21us"},
		{"supernode8912", "switch=0ns", "supernode", "850ns"},
		{"supernode8912", "supernode.switch=50ns,endpoint=35ns", "supernode", "550ns"},
		{"supernode8912", "supernode.switch=50ns,endpoint=35ns", "cabinet", "200ns"},
		{"supernode8912", "metre=0ns", "supernode", "745ns"},
		{"supernode8912", "supernode.metres=100m", "supernode", "1.725us"},
		{"supernode8912", "aspire100ns", "supernode", "100ns"},
		{"supernode8912", "aspire100ns", "cabinet", "600ns"}, // what leaves a domain, the innermost stays
		{"supernode8912", "cabinet=aspire100ns", "cabinet", "100ns"},
		{"supernode8912", "cabinet.path=1us", "cabinet", "1us"},
		{"hgx-h100:64", "tcp", "leaf", "25us"},
		{"hgx-h100:64", "leaf=rdma", "leaf", "2.5us"},
		{"hgx-h100", "aspire100ns", "node", "100ns"}, // the only tier
		{"cloudmatrix384", "npo", "supernode", "930ns"},
	} {
		o, err := ParseTau(c.tau)
		if err != nil {
			t.Errorf("%s: %v", c.tau, err)
			continue
		}
		base := system(t, c.ref)
		before := base.Tiers[0].Tau.Path()
		x, err := base.WithTau(o)
		if err != nil {
			t.Errorf("%s: %v", c.tau, err)
			continue
		}
		if got := x.Tiers[x.tier(c.tier)].Tau.Path().String(); got != c.want {
			t.Errorf("%s of %s: %s is %s, want %s", c.tau, c.ref, c.tier, got, c.want)
		}
		if base.Tiers[0].Tau.Path() != before {
			t.Errorf("%s changed the system it was given", c.tau)
		}
	}
}

func TestTauErrors(t *testing.T) {
	for text, want := range map[string]string{
		"optcs=10ns":             `did you mean "optics"`,
		"supernode.swich=10ns":   `did you mean "switch"`,
		"cpoo":                   `did you mean "cpo"`,
		"optics=10":              "is not a duration",
		"optics=-1ns":            "must not be negative",
		"optics=20s":             "at most 10s",
		"rack=cppo":              `did you mean "cpo"`,
		"metre=5":                "delay of one metre",
		"metres=-3m":             "is not a length",
		"optics.switch=10ns":     "not the name of a tier",
		"optcs=10ns,swith=10ns":  `"switch"`,
		".switch=10ns":           "not the name of a tier",
		"supernode=10ns":         "supernode.path=10ns",
		"endpoint=":              "is not a duration",
		"preset=optics":          "unknown preset",
		"a.b.c=10ns":             "unknown part",
		"node=pluggable,lpo,np0": `"npo"`,
	} {
		if _, err := ParseTau(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q in it", text, err, want)
		}
	}
	for text, want := range map[string]string{
		"supernod.switch=1ns": `did you mean "supernode"`,
		"rack=cpo":            "known: cabinet, supernode",
		"fec=10ns":            "no link of supernode8912 has fec",
	} {
		o, err := ParseTau(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := system(t, "supernode8912").WithTau(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q in it", text, err, want)
		}
	}
}

func TestTauYAML(t *testing.T) {
	var s struct {
		Tau TauOverrides `yaml:"tau"`
	}
	want, _ := ParseTau("optics=10ns,rack=rdma,cpo,leaf.switch=50ns")
	for _, text := range []string{
		"tau: optics=10ns,rack=rdma,cpo,leaf.switch=50ns",
		"tau: {optics: 10ns, rack: rdma, preset: cpo, leaf.switch: 50ns}",
	} {
		s.Tau = nil
		if err := spec.Parse("s.yaml", []byte(text), &s).Err(); err != nil || !slices.Equal(s.Tau, want) {
			t.Errorf("%s: %v, %v", text, s.Tau, err)
		}
	}
	out, err := yaml.Dump(s)
	if err != nil {
		t.Fatal(err)
	}
	s.Tau = nil
	if err := spec.Parse("s.yaml", out, &s).Err(); err != nil || !slices.Equal(s.Tau, want) {
		t.Errorf("%s reads back as %v, %v", out, s.Tau, err)
	}
	err = spec.Parse("s.yaml", []byte("tau: {optics: 10ns, optcs: 5ns, swich: 1ns}"), &s).Err()
	if err == nil || !strings.Contains(err.Error(), "optics") || !strings.Contains(err.Error(), "switch") || !strings.Contains(err.Error(), "s.yaml:1:") {
		t.Errorf("%v: want both faults and their position", err)
	}
}

func drawOverride(t *rapid.T) TauOverride {
	tier := rapid.SampledFrom([]string{"", "rack", "supernode", "leaf-2"}).Draw(t, "tier")
	if rapid.Bool().Draw(t, "is preset") {
		o, _ := presetOverride(tier, rapid.SampledFrom([]string{"pluggable", "lpo", "npo", "cpo", "tcp", "rdma", "aspire100ns"}).Draw(t, "preset"))
		return o
	}
	o := TauOverride{Tier: tier, Part: rapid.SampledFrom(tauParts).Draw(t, "part")}
	switch o.Part {
	case "metre":
		o.Value = rapid.Float64Range(0, 1000).Draw(t, "ns")
	case "metres":
		o.Value = rapid.Float64Range(0, maxMetres).Draw(t, "m")
	default:
		o.Value = float64(rapid.Int64Range(0, int64(maxTau)).Draw(t, "ns"))
	}
	return o
}

func TestTauRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		os := TauOverrides(rapid.SliceOfN(rapid.Custom(drawOverride), 1, 5).Draw(t, "overrides"))
		back, err := ParseTau(os.String())
		if err != nil || !slices.Equal(back, os) {
			t.Fatalf("%s reads back as %v, %v", os, back, err)
		}
	})
}

func FuzzTau(f *testing.F) {
	for _, s := range []string{"optics=10ns,tier.switch=50ns", "cpo", "rack=rdma", "metre=4.9ns", "supernode.metres=30m", "preset=lpo,path=1us", ",,=", "a.b=c"} {
		f.Add(s)
	}
	x := system(f, "supernode8912")
	f.Fuzz(func(t *testing.T, text string) {
		os, err := ParseTau(text)
		if err != nil {
			return
		}
		back, err := ParseTau(os.String())
		if err != nil || !slices.Equal(back, os) {
			t.Fatalf("%q parses to %q, which reads back as %q, %v", text, os, back, err)
		}
		if y, err := x.WithTau(os); err == nil {
			for i := range y.Tiers {
				if y.Tiers[i].Tau.Path() < 0 {
					t.Fatalf("%q makes a negative delay", text)
				}
			}
		}
	})
}
