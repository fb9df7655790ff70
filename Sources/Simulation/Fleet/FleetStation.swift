import Charging
import JSON

/// The script of one simulated OCPP 1.6 station: boots, then charges again and again.
///
/// A pure value: it names the next call and takes the answer. What was not answered is asked again
/// with the same payload, as a station does that does not know whether it was heard.
package struct FleetStation: Hashable, Sendable {
    package enum Step: Hashable, Sendable {
        case boot, available, authorize, start, meter(Int), stop, heartbeat
    }

    package struct Call: Hashable, Sendable {
        package var action: String
        package var payload: JSONValue
    }

    package let id: String
    package let token: String
    package private(set) var step = Step.boot
    package private(set) var sessions = 0
    private var transaction = 0
    private var register: Int64
    private var meterStart: Int64 = 0
    private var sentAt: Timestamp?

    /// MeterValues between a start and its stop.
    package static let metersASession = 4
    private static let wattHoursAStep: Int64 = 250

    package init(id: String, token: String, register: Int64) {
        self.id = id
        self.token = token
        self.register = register
    }

    /// What to send now. Repeated until `take` is called, it stays the same to the last byte.
    package mutating func call(at now: Timestamp) -> Call {
        let at = sentAt ?? now
        sentAt = at
        switch step {
        case .boot:
            return Call(
                action: "BootNotification",
                payload: [
                    "chargePointModel": "fleet", "chargePointVendor": "Kerb",
                    "chargePointSerialNumber": .string(String(id.suffix(25))),
                ])
        case .available: return status("Available", at)
        case .heartbeat: return Call(action: "Heartbeat", payload: [:])
        case .authorize: return Call(action: "Authorize", payload: ["idTag": .string(token)])
        case .start:
            return Call(
                action: "StartTransaction",
                payload: [
                    "connectorId": 1, "idTag": .string(token), "meterStart": .number(register),
                    "timestamp": .time(at),
                ])
        case .meter:
            return Call(
                action: "MeterValues",
                payload: [
                    "connectorId": 1, "transactionId": .number(transaction),
                    "meterValue": [["timestamp": .time(at), "sampledValue": samples]],
                ])
        case .stop:
            return Call(
                action: "StopTransaction",
                payload: [
                    "transactionId": .number(transaction), "meterStop": .number(register),
                    "timestamp": .time(at), "reason": "Local", "idTag": .string(token),
                ])
        }
    }

    private func status(_ status: String, _ at: Timestamp) -> Call {
        Call(
            action: "StatusNotification",
            payload: [
                "connectorId": 1, "errorCode": "NoError", "status": .string(status),
                "timestamp": .time(at),
            ])
    }

    private var samples: JSONValue {
        func sample(_ measurand: String, _ value: String, _ unit: String) -> JSONValue {
            [
                "measurand": .string(measurand), "value": .string(value), "unit": .string(unit),
                "context": "Sample.Periodic",
            ]
        }
        return [
            sample("Energy.Active.Import.Register", "\(register)", "Wh"),
            sample("Power.Active.Import", "22080", "W"), sample("Current.Import", "32", "A"),
            sample("Voltage", "230", "V"),
        ]
    }

    /// Takes the answer to the call last made, and moves on.
    ///
    /// - Returns: false when the operator wants the station to wait (boot Pending or Rejected, a
    ///   token refused): the same call comes again.
    package mutating func take(_ answer: JSONValue) -> Bool {
        sentAt = nil
        let isAccepted = answer["idTagInfo"]?["status"]?.string == "Accepted"
        switch step {
        case .boot:
            guard answer["status"]?.string == "Accepted" else { return false }
            step = .available
        case .available: step = .heartbeat
        case .heartbeat: step = .authorize
        case .authorize:
            guard isAccepted else { return false }
            step = .start
        case .start:
            transaction = answer["transactionId"]?.int ?? 0
            meterStart = register
            // A start that is refused is stopped at once: the transaction exists all the same.
            step = isAccepted ? .meter(1) : .stop
            if isAccepted { register += Self.wattHoursAStep }
        case .meter(let number):
            step = number < Self.metersASession ? .meter(number + 1) : .stop
            register += Self.wattHoursAStep
        case .stop:
            sessions += 1
            step = .heartbeat
        }
        return true
    }

    /// Begins again with BootNotification after the line was lost; a charge under way goes on.
    package mutating func reconnected() {
        if step == .available || step == .heartbeat { step = .boot }
        sentAt = step == .boot ? nil : sentAt
    }

    /// What the station answers to the operator; nil: NotImplemented.
    package static func answer(to action: String) -> JSONValue? {
        switch action {
        case "RemoteStartTransaction", "RemoteStopTransaction", "Reset", "ChangeAvailability",
            "ClearCache", "TriggerMessage", "ChangeConfiguration":
            ["status": "Accepted"]
        case "UnlockConnector": ["status": "Unlocked"]
        case "GetConfiguration": ["configurationKey": [], "unknownKey": []]
        default: nil
        }
    }
}
