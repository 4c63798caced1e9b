// SPDX-License-Identifier: Apache-2.0
// Makes the golden messages of remote write and of the protobuf exposition with Prometheus' own code:
//   go run . && mv v1.snappy v2.snappy ../../../src/observe/metrics/remote/testdata && mv exposition.protobuf ../../../src/observe/metrics/exposition/testdata
package main

import (
	"bytes"
	"net/http/httptest"
	"os"

	"github.com/golang/snappy"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/prompb"
	v2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	h := &histogram.Histogram{Count: 6, Sum: 7.5, Schema: 1, ZeroThreshold: 0.001, ZeroCount: 1,
		PositiveSpans: []histogram.Span{{Offset: 0, Length: 2}, {Offset: 3, Length: 1}}, PositiveBuckets: []int64{1, 1, -1},
		NegativeSpans: []histogram.Span{{Offset: -2, Length: 1}}, NegativeBuckets: []int64{1}}
	l := func(kv ...string) (out []prompb.Label) {
		for i := 0; i < len(kv); i += 2 {
			out = append(out, prompb.Label{Name: kv[i], Value: kv[i+1]})
		}
		return
	}
	w := prompb.WriteRequest{
		Timeseries: []prompb.TimeSeries{
			{Labels: l("__name__", "up", "job", "가"), Samples: []prompb.Sample{{Value: 1, Timestamp: 1700000000000}, {Value: 0.5, Timestamp: 1700000015000}},
				Exemplars: []prompb.Exemplar{{Labels: l("trace_id", "abc"), Value: 3, Timestamp: 1700000000001}}},
			{Labels: l("__name__", "latency"), Histograms: []prompb.Histogram{prompb.FromIntHistogram(1700000000000, h)}},
		},
		Metadata: []prompb.MetricMetadata{{Type: prompb.MetricMetadata_GAUGE, MetricFamilyName: "up", Help: "Up?", Unit: ""}},
	}
	b, err := w.Marshal()
	must(err)
	must(os.WriteFile("v1.snappy", snappy.Encode(nil, b), 0644))

	st := v2.NewSymbolTable()
	sym := func(kv ...string) (out []uint32) {
		for _, s := range kv {
			out = append(out, st.Symbolize(s))
		}
		return
	}
	w2 := v2.Request{Timeseries: []v2.TimeSeries{
		{LabelsRefs: sym("__name__", "up", "job", "가"), Samples: []v2.Sample{{Value: 1, Timestamp: 1700000000000}, {Value: 0.5, Timestamp: 1700000015000}},
			Exemplars: []v2.Exemplar{{LabelsRefs: sym("trace_id", "abc"), Value: 3, Timestamp: 1700000000001}},
			Metadata:  v2.Metadata{Type: v2.Metadata_METRIC_TYPE_GAUGE, HelpRef: st.Symbolize("Up?")}},
		{LabelsRefs: sym("__name__", "latency"), Histograms: []v2.Histogram{v2.FromFloatHistogram(1700000000000, h.ToFloat(nil))}},
	}}
	w2.Symbols = st.Symbols()
	b, err = w2.Marshal()
	must(err)
	must(os.WriteFile("v2.snappy", snappy.Encode(nil, b), 0644))

	r := prometheus.NewRegistry()
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "requests_total", Help: "Requests."}, []string{"path"})
	c.WithLabelValues("/안녕").(prometheus.ExemplarAdder).AddWithExemplar(3, prometheus.Labels{"trace_id": "t1"})
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: "temperature", Help: "Degrees."})
	g.Set(-1.5)
	s := prometheus.NewSummary(prometheus.SummaryOpts{Name: "sizes", Help: "Sizes.", Objectives: map[float64]float64{0.5: 0.05}})
	s.Observe(4)
	classic := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "classic_seconds", Help: "Classic.", Buckets: []float64{1, 2.5}})
	classic.Observe(2)
	both := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "both_seconds", Help: "Both.", Buckets: []float64{1, 2.5}, NativeHistogramBucketFactor: 2})
	for _, v := range []float64{0, 1, 2, 2, 16} {
		both.Observe(v)
	}
	r.MustRegister(c, g, s, classic, both)
	req := httptest.NewRequest("GET", "/metrics", nil)
	req.Header.Set("Accept", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited")
	rec := httptest.NewRecorder()
	promhttp.HandlerFor(r, promhttp.HandlerOpts{}).ServeHTTP(rec, req)
	var buf bytes.Buffer
	_, err = buf.ReadFrom(rec.Body)
	must(err)
	must(os.WriteFile("exposition.protobuf", buf.Bytes(), 0644))
}
