import HAL
import Service

extension EdgeSettings {
    /// Names of GPIO lines of one outlet that differ from what the board's profile says.
    static func lines(_ section: ConfigSection) -> [LineRole: String] {
        var lines: [LineRole: String] = [:]
        for role in LineRole.allCases {
            guard let name = section.textOrNil(role.rawValue, about: about(role)) else { continue }
            if name.isEmpty || name.utf8.count > 31 {
                section.problem(role.rawValue, "a line's name has 1 to 31 characters")
            }
            if name == Self.noLine, !role.isForShow {
                section.problem(
                    role.rawValue, "only lights and the buzzer can be left out; name a line")
            }
            lines[role] = name
        }
        return lines
    }

    /// Of a light or buzzer that an outlet does not have.
    fileprivate static let noLine = "none"

    private static func about(_ role: LineRole) -> String {
        switch role {
        case .contactor: "switches the contactor's relay, or allows the safety controller to"
        case .kick: "toggled while the contactor may stay closed"
        case .mirror: "the contactor's feedback contact"
        case .residualCurrentTrip: "the residual current device has tripped"
        case .directCurrentTrip: "the d.c. sensor has tripped"
        case .residualCurrentTest: "makes the d.c. sensor trip, or the only residual current device"
        case .emergencyStop: "the red button is pressed"
        case .door: "the enclosure is open"
        case .protectiveEarth: "the protective earth is lost"
        case .lock: "drives the bolt into the plug"
        case .unlock: "drives the bolt out"
        case .locked: "the bolt is in the plug"
        case .lightRed, .lightGreen, .lightBlue: "a light"
        case .buzzer: "sounds"
        case .pilotConnected: "the safety controller sees a car"
        case .pilotReady: "the safety controller sees a car that wants energy"
        case .pilotFault: "the safety controller sees a faulty pilot"
        case .offer0, .offer1, .offer2: "a bit of the current to offer"
        }
    }
}

extension EdgeSettings.EVSE {
    /// The line of a role: named here, else by the board's profile; nil where the outlet does without.
    func line(_ role: LineRole, _ profile: LineProfile) -> String? {
        let name = lines[role] ?? profile.name(connector: connector)
        return role.isForShow && name == EdgeSettings.noLine ? nil : name
    }
}
