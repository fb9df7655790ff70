/// Why a CALL could not be handled; travels as CALLERROR. OCPP-J 1.6 §4.2.3, OCPP 2.0.1 part 4 §4.3.
///
/// The description is a constant text of ours, never the peer's bytes.
package struct CallError: Error, Hashable, Sendable {
    /// The neutral code; versions spell some of them differently.
    package enum Code: Hashable, Sendable, CaseIterable {
        /// The action is not OCPP's.
        case notImplemented
        /// The action is OCPP's, but not offered here.
        case notSupported
        case internalError
        case protocolError
        case securityError
        /// Not the action's shape, or an unknown field.
        case formationViolation
        /// A required field is missing.
        case missingField
        /// Too many or too few elements.
        case occurrenceViolation
        /// Another JSON type.
        case typeViolation
        /// A value outside its enumeration, length or range.
        case propertyViolation
        case messageTypeNotSupported
        case frameworkError
        case genericError
    }

    package var code: Code
    package var description: String
    /// The code as it came, when a peer sent one nobody knows.
    package var foreignCode: String?

    package init(_ code: Code, _ description: String, foreignCode: String? = nil) {
        self.code = code
        self.description = description
        self.foreignCode = foreignCode
    }
}

extension CallError.Code {
    /// The code's spelling on the wire. 1.6 keeps two misprints on purpose (OCPP-J 1.6 errata 5.1, 5.2).
    package func spelled(in version: ProtocolVersion) -> String {
        switch self {
        case .notImplemented: "NotImplemented"
        case .notSupported: "NotSupported"
        case .internalError: "InternalError"
        case .protocolError: "ProtocolError"
        case .securityError: "SecurityError"
        case .formationViolation: version == .v16 ? "FormationViolation" : "FormatViolation"
        case .missingField: version == .v16 ? "ProtocolError" : "OccurrenceConstraintViolation"
        case .occurrenceViolation:
            version == .v16 ? "OccurenceConstraintViolation" : "OccurrenceConstraintViolation"
        case .typeViolation: "TypeConstraintViolation"
        case .propertyViolation: "PropertyConstraintViolation"
        case .messageTypeNotSupported:
            version == .v16 ? "GenericError" : "MessageTypeNotSupported"
        case .frameworkError: version == .v16 ? "GenericError" : "RpcFrameworkError"
        case .genericError: "GenericError"
        }
    }

    /// Reads every spelling of every version; nil for a code no version has.
    package init?(spelling: some StringProtocol) {
        switch spelling.lowercased() {
        case "notimplemented": self = .notImplemented
        case "notsupported": self = .notSupported
        case "internalerror": self = .internalError
        case "protocolerror": self = .protocolError
        case "securityerror": self = .securityError
        case "formationviolation", "formatviolation": self = .formationViolation
        case "occurenceconstraintviolation", "occurrenceconstraintviolation":
            self = .occurrenceViolation
        case "typeconstraintviolation": self = .typeViolation
        case "propertyconstraintviolation": self = .propertyViolation
        case "messagetypenotsupported": self = .messageTypeNotSupported
        case "rpcframeworkerror": self = .frameworkError
        case "genericerror": self = .genericError
        default: return nil
        }
    }
}
