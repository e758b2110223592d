"""What everything else may import: errors, claims, parameters, the run directory."""
