package grpc

import pb "github.com/vqsd/vqsd/proto/vqs/v1"

// legacyForms is the LegacyService; exportlegacy.go and importlegacy.go have its methods.
type legacyForms struct {
	pb.UnimplementedLegacyServiceServer
	*Server
}

var _ pb.LegacyServiceServer = (*legacyForms)(nil)
