package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	pb "github.com/vqsd/vqsd/proto/vqs/v1"
)

// completionTime is how long the shell waits for a daemon's measurements.
const completionTime = 500 * time.Millisecond

// completeMeasurements offers the newest measurements of the daemon; most is how many arguments there may be, 0 any number. Whatever is wrong, the
// shell is offered nothing, and nothing is said.
func completeMeasurements(f *connectFlags, most int) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if most > 0 && len(args) >= most {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		c, err := f.open()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer func() { _ = c.close() }() // see above
		ctx := cmd.Context()
		if ctx == nil {
			ctx = context.Background()
		}
		ctx, cancel := context.WithTimeout(ctx, completionTime)
		defer cancel()
		answer, err := c.ListMeasurements(ctx, &pb.ListMeasurementsRequest{PageSize: 100})
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var offers []cobra.Completion
		prefix, wanted := "", begun
		if strings.HasPrefix(begun, namePrefix) {
			prefix, wanted = namePrefix, shortName(begun)
		}
		for _, m := range answer.GetMeasurements() {
			id := shortName(m.GetName())
			if !strings.HasPrefix(id, wanted) || slices.ContainsFunc(args, func(arg string) bool { return shortName(arg) == id }) {
				continue
			}
			offers = append(offers, cobra.CompletionWithDesc(prefix+id, printable(stateWord(m.GetState())+", "+m.GetSpec().GetReference().GetUri())))
		}
		return offers, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}
