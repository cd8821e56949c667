package cost

import (
	"github.com/clustersim/clustersim/models"
	"github.com/clustersim/clustersim/topologies"
)

// Substitute gives the model in the formats that a chip computes or stores, and
// says in words what was changed.
func Substitute(m *models.Model, chip *topologies.Chip) (*models.Model, []string, error) {
	return m, nil, nil
}
