package bench

import (
	"fmt"
	"testing"
)

// BenchmarkMap fills maps that become garbage.
func BenchmarkMap(b *testing.B) {
	for _, size := range []int{10, 1000} {
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; i < b.N; i++ {
				filled := map[int]int{}
				for key := 0; key < size; key++ {
					filled[key] = i
				}
			}
		})
	}
}
