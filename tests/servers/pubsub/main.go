// Command pubsub serves Google's own fake of Pub/Sub (package pstest) on a port of 127.0.0.1, for tests.
//
// usage: pubsub PORT CONTROL_PORT
//
// What it adds to the fake: requests of the size that the service accepts pass, larger ones are refused as the service
// refuses them, and a pull waits until a message comes, as the service does. (The fake's own looks twice, half a second
// apart.) The second port speaks HTTP and tells what no client of Pub/Sub may know:
//
//	GET  /waiting?queue=projects/P/topics/T   how many messages of that topic nobody has or has acknowledged
//	GET  /published?queue=projects/P/topics/T how many messages were published to that topic
//	POST /drain?queue=projects/P/topics/T     acknowledge what the subscription of the topic's name gets, from now on
//	                                          and as long as it exists: the fake looks through all that waits in a
//	                                          subscription a hundred times a second
//	POST /restart                             drop all connections and listen again, with all that is stored;
//	                                          answered when it listens again
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
)

const (
	largestRequest = 10_000_000             // bytes of one publish request, with all of its messages
	mostMessages   = 1000                   // of one publish request
	longestPull    = 500 * time.Millisecond // the fake's own; the service waits for a minute and more
	look           = 5 * time.Millisecond
	away           = 300 * time.Millisecond // the time of a restart
)

type publisher struct {
	*pstest.GServer
}

func (p publisher) Publish(ctx context.Context, request *pubsubpb.PublishRequest) (*pubsubpb.PublishResponse, error) {
	if size := proto.Size(request); size > largestRequest {
		return nil, status.Errorf(codes.InvalidArgument, "the request has %d bytes, the limit is %d", size, largestRequest)
	}
	if count := len(request.Messages); count > mostMessages {
		return nil, status.Errorf(codes.InvalidArgument, "the request has %d messages, the limit is %d", count, mostMessages)
	}
	for _, message := range request.Messages {
		if len(message.Data) == 0 && len(message.Attributes) == 0 {
			return nil, status.Error(codes.InvalidArgument, "a message needs data or an attribute")
		}
	}
	return p.GServer.Publish(ctx, request)
}

type subscriber struct {
	*pstest.GServer
	subscriptions *subscriptions
}

func (s subscriber) Pull(ctx context.Context, request *pubsubpb.PullRequest) (*pubsubpb.PullResponse, error) {
	atOnce := proto.Clone(request).(*pubsubpb.PullRequest)
	atOnce.ReturnImmediately = true
	end := time.Now().Add(longestPull)
	for {
		if ctx.Err() != nil { // nothing is taken for a client that has left
			return nil, status.FromContextError(ctx.Err()).Err()
		}
		response, err := s.GServer.Pull(ctx, atOnce)
		if err != nil || len(response.ReceivedMessages) > 0 || request.ReturnImmediately || time.Now().After(end) {
			return response, err
		}
		select {
		case <-ctx.Done():
		case <-time.After(look):
		}
	}
}

// subscriptions has the time of each topic's newest subscription: that one has no older messages.
type subscriptions struct {
	mutex   sync.Mutex
	created map[string]time.Time
}

func (s *subscriptions) begin(topic string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.created[topic] = time.Now()
}

func (s *subscriptions) end(topic string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	delete(s.created, topic)
}

func (s *subscriptions) since(topic string) (time.Time, bool) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	at, found := s.created[topic]
	return at, found
}

func (s subscriber) CreateSubscription(ctx context.Context, wanted *pubsubpb.Subscription) (*pubsubpb.Subscription, error) {
	answer, err := s.GServer.CreateSubscription(ctx, wanted)
	if err == nil {
		s.subscriptions.begin(wanted.Topic)
	}
	return answer, err
}

func (s subscriber) DeleteSubscription(ctx context.Context, request *pubsubpb.DeleteSubscriptionRequest) (*emptypb.Empty, error) {
	found, _ := s.GServer.GetSubscription(ctx, &pubsubpb.GetSubscriptionRequest{Subscription: request.Subscription})
	answer, err := s.GServer.DeleteSubscription(ctx, request)
	if err == nil {
		s.subscriptions.end(found.GetTopic())
	}
	return answer, err
}

// waits tells whether a message is neither acknowledged nor held by a consumer.
func waits(message *pstest.Message) bool {
	if message.Acks > 0 {
		return false
	}
	if message.Deliveries == 0 {
		return true
	}
	if len(message.Modacks) == 0 {
		return false
	}
	last := message.Modacks[len(message.Modacks)-1]
	current := fmt.Sprintf("%s:%d", message.ID, message.Deliveries)
	return last.AckID == current && last.AckDeadline == 0
}

func control(fake *pstest.Server, subscribed *subscriptions, restart chan<- chan struct{}) http.Handler {
	paths := http.NewServeMux()
	paths.HandleFunc("GET /waiting", func(answer http.ResponseWriter, request *http.Request) {
		topic := request.FormValue("queue")
		since, found := subscribed.since(topic)
		count := 0
		for _, message := range fake.Messages() {
			if found && message.Topic == topic && !message.PublishTime.Before(since) && waits(message) {
				count++
			}
		}
		fmt.Fprintln(answer, count)
	})
	paths.HandleFunc("GET /published", func(answer http.ResponseWriter, request *http.Request) {
		topic, count := request.FormValue("queue"), 0
		for _, message := range fake.Messages() {
			if message.Topic == topic {
				count++
			}
		}
		fmt.Fprintln(answer, count)
	})
	paths.HandleFunc("POST /drain", func(_ http.ResponseWriter, request *http.Request) {
		go drain(&fake.GServer, strings.Replace(request.FormValue("queue"), "/topics/", "/subscriptions/", 1))
	})
	paths.HandleFunc("POST /restart", func(http.ResponseWriter, *http.Request) {
		back := make(chan struct{})
		restart <- back
		<-back
	})
	return paths
}

// drain takes and acknowledges what a subscription gets, as long as it exists.
func drain(fake *pstest.GServer, subscription string) {
	ctx := context.Background()
	for {
		pull := &pubsubpb.PullRequest{Subscription: subscription, MaxMessages: mostMessages, ReturnImmediately: true}
		pulled, err := fake.Pull(ctx, pull)
		if err != nil {
			return
		}
		acknowledged := &pubsubpb.AcknowledgeRequest{Subscription: subscription}
		for _, each := range pulled.ReceivedMessages {
			acknowledged.AckIds = append(acknowledged.AckIds, each.AckId)
		}
		if len(acknowledged.AckIds) == 0 {
			time.Sleep(look)
		} else if _, err := fake.Acknowledge(ctx, acknowledged); err != nil {
			return
		}
	}
}

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: pubsub PORT CONTROL_PORT")
	}
	fake := pstest.NewServer()
	subscribed := &subscriptions{created: map[string]time.Time{}}
	restart := make(chan chan struct{})
	go func() {
		log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Args[2], control(fake, subscribed, restart)))
	}()
	var back chan struct{} // of who asked for the restart
	for {
		server := grpc.NewServer(
			grpc.MaxRecvMsgSize(2*largestRequest), grpc.MaxSendMsgSize(2*largestRequest),
			grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second}),
		)
		pubsubpb.RegisterPublisherServer(server, publisher{&fake.GServer})
		pubsubpb.RegisterSubscriberServer(server, subscriber{&fake.GServer, subscribed})
		listener, err := net.Listen("tcp", "127.0.0.1:"+os.Args[1])
		if err != nil {
			log.Fatal(err)
		}
		if back != nil {
			close(back)
		}
		go func() {
			back = <-restart
			server.Stop()
		}()
		if err := server.Serve(listener); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			log.Fatal(err)
		}
		time.Sleep(away)
	}
}
