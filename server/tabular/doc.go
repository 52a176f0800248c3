// Package tabular writes scores as rows for analysts: CSV, or Parquet.
package tabular
