package api

import (
	"net/http"
	"testing"
	"time"
)

// sunk is where a benchmark's answers go.
type sunk struct{ header http.Header }

func (s *sunk) Header() http.Header              { return s.header }
func (s *sunk) WriteHeader(int)                  {}
func (s *sunk) Write(b []byte) (int, error)      { return len(b), nil }
func (s *sunk) Flush()                           {}
func (s *sunk) SetWriteDeadline(time.Time) error { return nil }
func (s *sunk) SetReadDeadline(time.Time) error  { return nil }

// What one token of a stream costs this package, by shape.
func BenchmarkToken(b *testing.B) {
	for _, s := range shapes {
		b.Run(s.name, func(b *testing.B) {
			o := s.sample()
			if err := decode([]byte(s.with("omx-demo", "")), o); err != nil {
				b.Fatal(err)
			}
			w := &sunk{header: http.Header{}}
			st := &stream{w: w, control: http.NewResponseController(w), format: o.format("id", time.Time{})}
			if err := st.Begin(Meta{}); err != nil {
				b.Fatal(err)
			}
			t := Token{Text: "token \"x\"\n", N: 1}
			b.ReportAllocs()
			for b.Loop() {
				if err := st.Token(t); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
