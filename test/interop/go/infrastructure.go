package main

import (
	"context"
	"slices"

	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
)

func checkHealth(ctx context.Context, c *client) {
	health := healthpb.NewHealthClient(c.conn)
	step("grpc.health.v1 says SERVING", func() {
		whole := answer(health.Check(ctx, &healthpb.HealthCheckRequest{}))
		equal("the status", whole.GetStatus(), healthpb.HealthCheckResponse_SERVING)
		_, err := health.Check(ctx, &healthpb.HealthCheckRequest{Service: "nobody.knows.Me"})
		equal("the code for an unknown service", status.Code(err), codes.NotFound)
	})
}

func checkReflection(ctx context.Context, c *client) {
	step("server reflection lists the services and describes them", func() {
		stream := answer(reflectionpb.NewServerReflectionClient(c.conn).ServerReflectionInfo(ctx))
		ask := func(request *reflectionpb.ServerReflectionRequest) *reflectionpb.ServerReflectionResponse {
			require(stream.Send(request) == nil, "the reflection stream takes no request")
			return answer(stream.Recv())
		}
		listed := ask(&reflectionpb.ServerReflectionRequest{
			MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{},
		})
		var names []string
		for _, service := range listed.GetListServicesResponse().GetService() {
			names = append(names, service.GetName())
		}
		for _, wanted := range []string{
			"mpc.router.v1.MessageRouter",
			"mpc.coordinator.v1.SessionCoordinator",
			"mpc.coordinator.v1.SessionOperations",
			"grpc.health.v1.Health",
		} {
			require(slices.Contains(names, wanted), "%s is not among %v", wanted, names)
		}
		described := ask(&reflectionpb.ServerReflectionRequest{
			MessageRequest: &reflectionpb.ServerReflectionRequest_FileContainingSymbol{
				FileContainingSymbol: "mpc.router.v1.MessageRouter.RouteMessage",
			},
		})
		files := described.GetFileDescriptorResponse().GetFileDescriptorProto()
		require(len(files) > 0, "RouteMessage is not described: %v", described)
		require(stream.CloseSend() == nil, "the reflection stream does not close")
	})
}
