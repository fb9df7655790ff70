import Charging
import Crypto
import JSON
import Service
import Simulation

extension Stage {
    var appPort: Int { plan.port + 2 }

    /// The app's record, as a network's registry would have it, before the operator reads the file.
    func registerApp() throws {
        let record: JSONValue = [
            "subscriber_id": .string(plan.appID), "type": "BAP",
            "url": .string("http://127.0.0.1:\(appPort)/bap"), "unique_key_id": "app",
            "signing_public_key": .string(Base64.encode(appPublicKey.bytes)),
        ]
        try FileSystem.writeAtomically(
            JSONValue.array([record]).encoded(), to: plan.cpoFolder + "/beckn-registry.json",
            mode: 0o644)
    }

    /// Two charging places: a 22 kW one whose SDM630 answers over RTU, a 7.4 kW one whose SDM120
    /// answers over TCP. The relay card and the pilot controllers have a bus of their own.
    static func hardware(_ plan: Plan) -> SiteSettings {
        SiteSettings(
            controlPort: 0,
            buses: [
                .init(name: "control", kind: .serial, link: plan.folder + "/control-bus"),
                .init(name: "meter-line", kind: .serial, link: plan.folder + "/meter-bus"),
                .init(name: "meter-lan", kind: .tcp),
            ],
            evses: [
                .init(
                    name: "bay-1", phases: 3, meter: .init(bus: "meter-line", unit: 1),
                    meterModel: .sdm630, startWattHours: startRegisters[0], serial: 10_000_001,
                    relay: .init(bus: "control", unit: 1), coil: 0,
                    pilot: .init(bus: "control", unit: 11), car: .init(phases: 3)),
                .init(
                    name: "bay-2", phases: 1, meter: .init(bus: "meter-lan", unit: 1),
                    meterModel: .sdm120, startWattHours: startRegisters[1], serial: 10_000_002,
                    relay: .init(bus: "control", unit: 1), coil: 1,
                    pilot: .init(bus: "control", unit: 12), car: .init(phases: 1)),
            ])
    }

    static func boardConfiguration(_ plan: Plan, _ site: Site) -> String {
        """
        stationID: \(plan.station)
        csms:
          url: wss://127.0.0.1:\(plan.port + 1)/ocpp
          securityProfile: 2
          passwordFile: \(plan.edgeFolder)/password
          caFile: \(plan.cpoFolder)/ca.pem
        board: modbus-cabinet
        buses:
          - {name: control, kind: rtu, device: \(plan.folder)/control-bus}
          - {name: meter-line, kind: rtu, device: \(plan.folder)/meter-bus}
          - {name: meter-lan, kind: tcp, host: 127.0.0.1, port: \(site.tcp["meter-lan"]?.port ?? 0)}
        evses:
          - connector: 1
            meter: {profile: sdm630, bus: meter-line, unit: 1}
            contactor: {bus: control, unit: 1, coil: 0}
            pilot: {bus: control, unit: 11}
            limits: {maximumAmperes: 32}
          - connector: 2
            meter: {profile: sdm120, bus: meter-lan, unit: 1}
            contactor: {bus: control, unit: 1, coil: 1}
            pilot: {bus: control, unit: 12}
            wiring: L2
            limits: {maximumAmperes: 32}
        site: {fuseAmperes: 63, phases: 3}
        meterSampleIntervalSeconds: 5
        dataDirectory: \(plan.edgeFolder)/data

        """
    }
}
