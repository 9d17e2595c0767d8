package admin

import (
	"context"
	"fmt"
)

// ParkedByOrigin counts the parked transactions of each origin that has any.
func ParkedByOrigin(ctx context.Context, q Querier) (map[string]int64, error) {
	rows, err := q.Query(ctx, "SELECT origin, count(*) FROM pgfed.parked GROUP BY origin")
	if err != nil {
		return nil, fmt.Errorf("count parked transactions: %w", err)
	}
	defer rows.Close()
	counts := map[string]int64{}
	for rows.Next() {
		var origin string
		var n int64
		if err := rows.Scan(&origin, &n); err != nil {
			return nil, fmt.Errorf("count parked transactions: %w", err)
		}
		counts[origin] = n
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("count parked transactions: %w", err)
	}
	return counts, nil
}
