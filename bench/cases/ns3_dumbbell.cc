// The dumbbell of bench/cases/speed.py in ns-3: one CUBIC bulk flow for each pair of hosts.
#include "ns3/applications-module.h"
#include "ns3/core-module.h"
#include "ns3/internet-module.h"
#include "ns3/network-module.h"
#include "ns3/point-to-point-module.h"
#include "ns3/traffic-control-module.h"

#include <chrono>
#include <iostream>

using namespace ns3;

int
main(int argc, char* argv[])
{
    double rateMbps = 10, rttMs = 40, durationS = 60;
    int flows = 1, queuePkts = 33;
    bool captures = true;
    std::string folder = ".";
    CommandLine cmd;
    cmd.AddValue("rate", "Mbit/s", rateMbps);
    cmd.AddValue("rtt", "ms", rttMs);
    cmd.AddValue("duration", "s", durationS);
    cmd.AddValue("flows", "pairs of hosts", flows);
    cmd.AddValue("queue", "packets", queuePkts);
    cmd.AddValue("captures", "at both ends of the bottleneck", captures);
    cmd.AddValue("folder", "of the captures", folder);
    cmd.Parse(argc, argv);
    auto began = std::chrono::steady_clock::now();

    Config::SetDefault("ns3::TcpL4Protocol::SocketType", TypeIdValue(TcpCubic::GetTypeId()));
    Config::SetDefault("ns3::TcpSocket::SegmentSize", UintegerValue(1448));
    Config::SetDefault("ns3::TcpSocket::InitialCwnd", UintegerValue(10));
    Config::SetDefault("ns3::TcpSocket::SndBufSize", UintegerValue(6 << 20));
    Config::SetDefault("ns3::TcpSocket::RcvBufSize", UintegerValue(6 << 20));

    NodeContainer routers, senders, receivers;
    routers.Create(2);
    senders.Create(flows);
    receivers.Create(flows);
    InternetStackHelper stack;
    stack.InstallAll();

    std::string queue = std::to_string(queuePkts) + "p";
    PointToPointHelper bottleneck, access;
    bottleneck.SetDeviceAttribute("DataRate", DataRateValue(DataRate(rateMbps * 1e6)));
    bottleneck.SetChannelAttribute("Delay", TimeValue(MicroSeconds(rttMs * 500)));
    bottleneck.SetQueue("ns3::DropTailQueue", "MaxSize", StringValue(queue));
    access.SetDeviceAttribute("DataRate", StringValue("10Gbps"));
    access.SetChannelAttribute("Delay", TimeValue(NanoSeconds(1)));

    Ipv4AddressHelper addresses("10.0.0.0", "255.255.255.0");
    TrafficControlHelper control;
    auto link = [&](PointToPointHelper& helper, Ptr<Node> one, Ptr<Node> two) {
        NetDeviceContainer devices = helper.Install(one, two);
        auto given = addresses.Assign(devices);
        control.Uninstall(devices); // the device's own queue is the only one
        addresses.NewNetwork();
        return std::make_pair(devices, given);
    };
    auto middle = link(bottleneck, routers.Get(0), routers.Get(1)).first;
    ApplicationContainer sinks;
    for (int i = 0; i < flows; ++i)
    {
        link(access, senders.Get(i), routers.Get(0));
        auto far = link(access, receivers.Get(i), routers.Get(1)).second.GetAddress(0);
        InetSocketAddress to(far, 5001);
        PacketSinkHelper sink("ns3::TcpSocketFactory", to);
        sinks.Add(sink.Install(receivers.Get(i)));
        BulkSendHelper bulk("ns3::TcpSocketFactory", to);
        bulk.Install(senders.Get(i)).Start(Seconds(0.1));
    }
    Ipv4GlobalRoutingHelper::PopulateRoutingTables();
    if (captures)
    {
        bottleneck.EnablePcap(folder + "/ns3", middle, false);
    }
    std::vector<double> each_second;
    for (int second = 1; second <= int(durationS); ++second)
    {
        Simulator::Schedule(Seconds(second + 0.1), [&] {
            double bytes = 0;
            for (uint32_t i = 0; i < sinks.GetN(); ++i)
            {
                bytes += DynamicCast<PacketSink>(sinks.Get(i))->GetTotalRx();
            }
            each_second.push_back(bytes);
        });
    }
    auto running = std::chrono::steady_clock::now();
    Simulator::Stop(Seconds(durationS + 0.101));
    Simulator::Run();
    auto ended = std::chrono::steady_clock::now();
    Simulator::Destroy();
    std::chrono::duration<double> run = ended - running, all = ended - began;
    std::cout << "{\"run_s\": " << run.count() << ", \"all_s\": " << all.count() << ", \"bytes\": [0";
    for (double bytes : each_second)
    {
        std::cout << ", " << std::fixed << bytes;
    }
    std::cout << "]}" << std::endl;
    return 0;
}
