package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/vqsd/vqsd/engine"
	"github.com/vqsd/vqsd/gpu"
	"github.com/vqsd/vqsd/kernels/cpu"
)

// devicesSchema names the document and its version.
const devicesSchema = "vqsd.devices/1"

func (a *app) devicesCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "devices",
		Short: "list what features can be computed on",
		Long: `List the devices that features can be computed on: the GPUs that the CUDA driver
has, and the processor. --device takes their names.`,
		Example: `  vqsd devices
  vqsd devices --json`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return a.devices(asJSON) },
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print a JSON document")
	return c
}

// devicesDocument is what devices --json prints.
type devicesDocument struct {
	Schema  string       `json:"schema"` // devicesSchema
	Program programInfo  `json:"program"`
	CPU     cpuInfo      `json:"cpu"`
	Driver  *driverInfo  `json:"driver"`     // null: none
	Why     *string      `json:"why_no_gpu"` // null: there is one
	GPUs    []deviceInfo `json:"gpus"`
}

type cpuInfo struct {
	Target  string   `json:"target"`  // the vector instructions in force: "avx2"
	Targets []string `json:"targets"` // those that this machine has
}

type driverInfo struct {
	CUDA     string `json:"cuda"` // the version that it supports: "12.4"
	Library  string `json:"library"`
	Emulated bool   `json:"emulated"`
}

type deviceInfo struct {
	Device            string `json:"device"` // as --device takes it: "cuda:0"
	Name              string `json:"name"`
	UUID              string `json:"uuid"`
	ComputeCapability string `json:"compute_capability"` // "9.0"
	Multiprocessors   int    `json:"multiprocessors"`
	MemoryBytes       uint64 `json:"memory_bytes"`
	ClockKHz          int    `json:"clock_khz"`
	MemoryClockKHz    int    `json:"memory_clock_khz"`
	MemoryBusBits     int    `json:"memory_bus_bits"`
	L2Bytes           int    `json:"l2_bytes"`
	Emulated          bool   `json:"emulated"` // it is no GPU, but a program that behaves as one
}

// findDevices asks the driver. The error says why there is no GPU.
func findDevices() (*driverInfo, []deviceInfo, error) {
	driver, infos, err := gpu.Probe()
	if err != nil {
		return nil, []deviceInfo{}, err
	}
	list := []deviceInfo{}
	for _, i := range infos {
		list = append(list, deviceInfo{
			Device: string(engine.CUDADevice(i.Ordinal)), Name: i.Name, UUID: i.UUID, ComputeCapability: fmt.Sprintf("%d.%d", i.ComputeMajor, i.ComputeMinor),
			Multiprocessors: i.Multiprocessors, MemoryBytes: i.MemoryBytes, ClockKHz: i.ClockKHz, MemoryClockKHz: i.MemoryClockKHz,
			MemoryBusBits: i.MemoryBusBits, L2Bytes: i.L2Bytes, Emulated: i.Emulated,
		})
	}
	return &driverInfo{cudaVersion(driver.Version), driver.Library, driver.Emulated}, list, nil
}

// cudaVersion is 12040 as people write it, 12.4.
func cudaVersion(v int) string { return fmt.Sprintf("%d.%d", v/1000, v%1000/10) }

func (a *app) devices(asJSON bool) error {
	if err := cpu.EnvironmentError(); err != nil {
		return err
	}
	d := devicesDocument{Schema: devicesSchema, Program: program(), CPU: cpuInfo{cpu.Target(), cpu.Targets()}}
	var err error
	if d.Driver, d.GPUs, err = findDevices(); err != nil {
		text := err.Error()
		d.Why = &text
	} else if len(d.GPUs) == 0 {
		text := gpu.ErrNoDevice.Error()
		d.Why = &text
	}
	if asJSON {
		return writeJSON(a.stdout, d)
	}
	g := &grid{left: 2}
	g.add("device", "name", "compute", "multiprocessors", "memory", "driver")
	for _, i := range d.GPUs {
		name := printable(i.Name)
		if i.Emulated {
			name += " (emulated: no GPU)"
		}
		g.add(i.Device, name, i.ComputeCapability, fmt.Sprint(i.Multiprocessors), roughSize(int64(i.MemoryBytes)), "CUDA "+d.Driver.CUDA)
	}
	g.add(string(engine.DeviceCPU), d.CPU.Target, "", "", "", "")
	g.print(a.stdout)
	if d.Why != nil {
		fmt.Fprintf(a.stdout, "\nNo GPU: %s\n", printable(*d.Why))
	}
	return nil
}
