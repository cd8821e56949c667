package main

import "github.com/spf13/cobra"

func newCalibrateCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "calibrate",
		Short: "Fit constants to measurements",
	}, newCalibrateEngine(), newCalibrateBench())
}
