package traces

import "bytes"

// azureFormat is that of the Azure LLM inference traces of 2023 and 2024
// (Azure/AzurePublicDataset; Patel et al., Splitwise, ISCA 2024). Time zero is the
// first row.
var azureFormat = csvFormat{
	columns: [csvColumns]string{colArrival: "TIMESTAMP", colInput: "ContextTokens", colOutput: "GeneratedTokens"},
	clock:   azureClock,
}

func sniffAzure(head []byte) bool {
	first, _, _ := bytes.Cut(head, []byte("\n"))
	return bytes.Contains(first, []byte(azureFormat.columns[colInput])) || bytes.HasPrefix(first, []byte("TIMESTAMP,"))
}

func openAzure(in *input) (rows, error) { return openCSV(in, &azureFormat) }

func azureClock(c *csvRows, stamp []byte) (int64, error) {
	at, ok := wallClock(stamp)
	if !ok {
		return 0, c.field(colArrival, "%q is not a time such as 2023-11-16 18:17:03.9799600", clip(stamp))
	}
	if !c.begun {
		c.epoch, c.begun = at, true
	}
	if at < c.epoch {
		return 0, c.field(colArrival, "%q is before the first request; sort the trace by arrival", clip(stamp))
	}
	return at - c.epoch, nil
}
