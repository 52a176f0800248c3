package grpc

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflection "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionalpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"

	pb "github.com/vqsd/vqsd/proto/vqs/v1"
	"github.com/vqsd/vqsd/server/auth"
)

// method is what is to be known of a method beside what it does.
type method struct {
	right auth.Right // needed; "": any caller may
	open  bool       // no credentials are needed, and no limits apply
	// endless streams end by the client or by the daemon's shutdown only.
	endless bool
}

// methods has every method that is served: one that is not in it keeps the daemon from starting.
var methods = map[string]method{
	pb.QualityService_MeasureQuality_FullMethodName:    {right: auth.Measure},
	pb.QualityService_GetQuality_FullMethodName:        {right: auth.Read},
	pb.QualityService_WatchQuality_FullMethodName:      {right: auth.Read, endless: true},
	pb.QualityService_CancelQuality_FullMethodName:     {right: auth.Measure},
	pb.QualityService_ListMeasurements_FullMethodName:  {right: auth.Read},
	pb.QualityService_QueryScores_FullMethodName:       {right: auth.Read},
	pb.QualityService_GetFrameScores_FullMethodName:    {right: auth.Read},
	pb.QualityService_RescoreQuality_FullMethodName:    {right: auth.Measure},
	pb.QualityService_DeleteMeasurement_FullMethodName: {right: auth.Measure},

	pb.LegacyService_ExportLegacy_FullMethodName: {right: auth.Read},
	pb.LegacyService_ImportLegacy_FullMethodName: {right: auth.Measure},

	pb.AdminService_GetServerInfo_FullMethodName:    {},
	pb.AdminService_ListWorkers_FullMethodName:      {right: auth.Admin},
	pb.AdminService_GetQueue_FullMethodName:         {right: auth.Admin},
	pb.AdminService_GetCache_FullMethodName:         {right: auth.Admin},
	pb.AdminService_ListWatchFolders_FullMethodName: {right: auth.Admin},
	pb.AdminService_CleanCache_FullMethodName:       {right: auth.Admin},
	pb.AdminService_Drain_FullMethodName:            {right: auth.Admin},
	pb.AdminService_Backup_FullMethodName:           {right: auth.Admin},

	// Load balancers and process managers ask without credentials, and learn nothing but one bit.
	healthpb.Health_Check_FullMethodName: {open: true},
	healthpb.Health_List_FullMethodName:  {open: true},
	healthpb.Health_Watch_FullMethodName: {open: true, endless: true},

	reflection.ServerReflection_ServerReflectionInfo_FullMethodName:      {endless: true},
	reflectionalpha.ServerReflection_ServerReflectionInfo_FullMethodName: {endless: true},
}

// checkMethods makes sure that the table has all that a server serves.
func checkMethods(services map[string]grpc.ServiceInfo) error {
	var missing []string
	for name, service := range services {
		for _, m := range service.Methods {
			full := "/" + name + "/" + m.Name
			if _, ok := methods[full]; !ok {
				missing = append(missing, full)
			}
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return fmt.Errorf("no rights are stated for %s", strings.Join(missing, ", "))
	}
	return nil
}
