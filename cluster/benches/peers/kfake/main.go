// Package main serves kfake, franz-go's in-memory fake Kafka, to whoever measures it: one broker on each port
// that is an argument, with no topics but those that clients create, until the process is ended.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/twmb/franz-go/pkg/kfake"
)

// partitions is what a topic gets whose creator does not say how many.
const partitions = 10

func main() {
	if err := serve(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(arguments []string) error {
	if len(arguments) == 0 {
		return fmt.Errorf("the arguments are a port for each broker")
	}
	var ports []int
	for _, argument := range arguments {
		port, err := strconv.ParseUint(argument, 10, 16)
		if err != nil {
			return fmt.Errorf("not a port: %w", err)
		}
		ports = append(ports, int(port))
	}
	cluster, err := kfake.NewCluster(
		kfake.NumBrokers(len(ports)),
		kfake.Ports(ports...),
		kfake.AllowAutoTopicCreation(),
		kfake.DefaultNumPartitions(partitions),
	)
	if err != nil {
		return fmt.Errorf("cannot listen on %v: %w", ports, err)
	}
	defer cluster.Close()
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, os.Interrupt, syscall.SIGTERM)
	<-ended
	return nil
}
