package traces

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"testing"
)

const million = 1_000_000

// readBench reads text of n requests once an iteration.
func readBench(b *testing.B, text []byte, n int) {
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		s, err := Read("f", io.NopCloser(bytes.NewReader(text)), Options{})
		if err != nil {
			b.Fatal(err)
		}
		got := 0
		for ; err == nil; got++ {
			_, err = s.Next()
		}
		if !errors.Is(err, io.EOF) || got-1 != n {
			b.Fatal(got, err)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "requests/s")
}

func chatSource(b *testing.B, n int64) Source {
	s, err := Generate(Workload{Profile: "chat", Rate: 1000, Requests: n, Seed: 1})
	if err != nil {
		b.Fatal(err)
	}
	return s
}

func BenchmarkRead(b *testing.B) {
	b.Run("format=azure/rows=1000000", func(b *testing.B) {
		text := []byte("TIMESTAMP,ContextTokens,GeneratedTokens\n")
		for i := range million {
			text = fmt.Appendf(text, "2023-11-%02d %02d:%02d:%02d.%07d,%d,%d\n", 1+i/86400, i/3600%24, i/60%60, i%60, i%10_000_000, 1+i%8000, 1+i%500)
		}
		readBench(b, text, million)
	})
	b.Run("format=clustersim/rows=1000000", func(b *testing.B) {
		var text bytes.Buffer
		if _, err := Write(&text, chatSource(b, million), nil); err != nil {
			b.Fatal(err)
		}
		readBench(b, text.Bytes(), million)
	})
	b.Run("format=mooncake/rows=100000/ids=24", func(b *testing.B) {
		var text []byte
		for i := range million / 10 {
			text = fmt.Appendf(text, `{"timestamp": %d, "input_length": 12035, "output_length": 343, "hash_ids": [`, i)
			for j := range 24 {
				text = append(strconv.AppendInt(text, int64(i*12+j), 10), ", "...)
			}
			text = append(text[:len(text)-2], "]}\n"...)
		}
		readBench(b, text, million/10)
	})
}

func BenchmarkGenerate(b *testing.B) {
	for _, profile := range Profiles() {
		b.Run("profile="+profile+"/requests=1000000", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s, err := Generate(Workload{Profile: profile, Rate: 1000, Requests: million, Seed: 1})
				if err != nil {
					b.Fatal(err)
				}
				for err == nil {
					_, err = s.Next()
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/million, "ns/request")
		})
	}
}

func BenchmarkLengthBiased(b *testing.B) {
	d, err := Workload{Profile: "chat", Rate: 1}.Drawer()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	i := int64(0)
	for b.Loop() {
		i++
		d.LengthBiased(i)
	}
}

func BenchmarkMeasure(b *testing.B) {
	for b.Loop() {
		if _, err := Measure(chatSource(b, million), nil); err != nil {
			b.Fatal(err)
		}
	}
}
