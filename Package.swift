// swift-tools-version: 6.2
import PackageDescription

// Every arrow of the house stands here. `make lint` holds each `import` against it, because the
// compiler alone lets a module see what its dependencies import. Sources/README.md says why each
// arrow exists.

/// Settings of every Swift target: one language mode, no warnings, no borrowed imports.
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("ExistentialAny"),
    .enableExperimentalFeature("Lifetimes"),
]

func module(
    _ name: String, in folder: String = "Sources", _ arrows: [String], embedding: [String] = []
) -> Target {
    .target(
        name: name, dependencies: arrows.map { .init(stringLiteral: $0) },
        path: "\(folder)/\(name)", resources: embedding.map { .embedInCode($0) },
        swiftSettings: strict)
}

func program(_ name: String, _ arrows: [String]) -> Target {
    .executableTarget(
        name: name, dependencies: arrows.map { .init(stringLiteral: $0) },
        path: "Sources/\(name)", swiftSettings: strict)
}

func tests(_ name: String, _ arrows: [String]) -> Target {
    .testTarget(
        name: "\(name)Tests",
        dependencies: ([name, "TestSupport"] + arrows).map { .init(stringLiteral: $0) },
        path: "Tests/\(name)Tests", swiftSettings: strict)
}

let foundations: [Target] = [
    .systemLibrary(
        name: "CModbus", path: "hal/CModbus", pkgConfig: "libmodbus",
        providers: [.apt(["libmodbus-dev"])]),
    .systemLibrary(
        name: "CSQLite", path: "Sources/System/CSQLite", pkgConfig: "sqlite3",
        providers: [.apt(["libsqlite3-dev"])]),
    .systemLibrary(
        name: "COpenSSL", path: "Sources/System/COpenSSL", pkgConfig: "openssl",
        providers: [.apt(["libssl-dev"])]),
    .systemLibrary(
        name: "CYAML", path: "Sources/System/CYAML", pkgConfig: "yaml-0.1",
        providers: [.apt(["libyaml-dev"])]),
    .systemLibrary(
        name: "CCurl", path: "Sources/System/CCurl", pkgConfig: "libcurl",
        providers: [.apt(["libcurl4-openssl-dev"])]),
    // The only real C of the server: libwebsockets' macros and its one callback cannot be imported.
    .target(
        name: "CWeb", path: "Sources/System/CWeb",
        cSettings: [.unsafeFlags(["-O2", "-Wall", "-Wextra", "-Werror"])],
        linkerSettings: [
            .linkedLibrary("websockets"), .linkedLibrary("ssl"),
            .linkedLibrary("crypto"),
        ]),
    // ioctl, termios and pty calls that are variadic or macros in C.
    .target(
        name: "CLinux", path: "hal/CLinux",
        cSettings: [.unsafeFlags(["-O2", "-Wall", "-Wextra", "-Werror"])]),
]

let ground: [Target] = [
    module("Charging", []),
    module("JSON", ["Charging"]),
    module("Crypto", ["COpenSSL"]),
    module("Service", ["Charging", "CYAML"]),
]

let instruments: [Target] = [
    module("SQL", ["Charging", "Service", "CSQLite"]),
    module("Web", ["Service", "JSON", "Crypto", "CWeb"]),
    module("HTTPClient", ["Service", "CCurl"]),
    module("HAL", in: "hal", ["Charging", "Service"]),
    module("LinuxHAL", in: "hal", ["HAL", "Charging", "Service", "CModbus", "CLinux"]),
    module("OCPP", ["Charging", "JSON", "Service"]),
    module("OCPP16", ["OCPP", "Charging", "JSON"]),
]

let houses: [Target] = [
    module("Station", ["HAL", "OCPP", "Web", "SQL", "Crypto", "Charging", "JSON", "Service"]),
    module("CPO", ["SQL", "Charging", "JSON", "Crypto", "Service"]),
    module(
        "Simulation",
        [
            "HAL", "OCPP", "Web", "HTTPClient", "Charging", "JSON", "Crypto", "Service", "CModbus",
            "CLinux",
        ]),
]

let doors: [Target] = [
    module("CSMS", ["CPO", "OCPP", "Web", "SQL", "Charging", "JSON", "Crypto", "Service"]),
    module("OCPI", ["CPO", "Web", "HTTPClient", "SQL", "Charging", "JSON", "Crypto", "Service"]),
    module("Beckn", ["CPO", "Web", "HTTPClient", "SQL", "Charging", "JSON", "Crypto", "Service"]),
    // The pages are embedded into the program, so that it is whole wherever it is copied.
    module(
        "Console", ["CPO", "Web", "SQL", "Charging", "JSON", "Crypto", "Service"],
        embedding: ["web"]),
]

let roofs: [Target] = [
    program(
        "kerb-edge",
        [
            "Station", "LinuxHAL", "HAL", "OCPP", "OCPP16", "Web", "HTTPClient", "SQL", "Crypto",
            "Charging", "JSON", "Service",
        ]),
    program(
        "kerb-cpo",
        [
            "CSMS", "OCPI", "Beckn", "Console", "CPO", "OCPP", "OCPP16", "Web", "HTTPClient", "SQL",
            "Charging", "JSON", "Crypto", "Service",
        ]),
    program(
        "kerb-sim",
        [
            "Simulation", "OCPI", "Beckn", "OCPP", "OCPP16", "Web", "HTTPClient", "HAL", "Charging",
            "JSON",
            "Crypto", "Service",
        ]),
]

let suites: [Target] = [
    // Fills a database for `make bench`; no product of the house.
    .executableTarget(
        name: "kerb-bench",
        dependencies: ["CPO", "SQL", "Charging", "Service"], path: "Tests/Bench/kerb-bench",
        swiftSettings: strict),
    // The load of the power-cut test; no product of the house.
    .executableTarget(
        name: "journal-load",
        dependencies: ["Station", "Charging", "Service"], path: "Tests/long/journal-load",
        swiftSettings: strict),
    .target(
        name: "TestSupport", dependencies: ["Charging", "JSON", "Service"],
        path: "Tests/TestSupport",
        swiftSettings: strict),
    tests("Charging", ["JSON"]),
    tests("JSON", ["Charging"]),
    tests("Crypto", ["JSON"]),
    tests("Service", ["Charging"]),
    tests("SQL", ["Charging", "Service"]),
    tests("Web", ["Service", "JSON", "Crypto"]),
    tests("HTTPClient", ["Service", "Web", "Crypto"]),
    tests("HAL", ["Charging", "Service"]),
    tests("LinuxHAL", ["HAL", "Simulation", "Charging", "Service"]),
    tests("OCPP", ["Charging", "JSON", "Service"]),
    tests("OCPP16", ["OCPP", "Charging", "JSON"]),
    tests(
        "Station",
        ["HAL", "OCPP", "OCPP16", "Web", "SQL", "Crypto", "Charging", "JSON", "Service"]),
    tests("CPO", ["SQL", "Charging", "JSON", "Service"]),
    tests("CSMS", ["CPO", "OCPP", "OCPP16", "Web", "SQL", "Charging", "JSON", "Service"]),
    tests("OCPI", ["CPO", "Web", "HTTPClient", "SQL", "Charging", "JSON", "Crypto", "Service"]),
    tests("Beckn", ["CPO", "Web", "HTTPClient", "SQL", "Charging", "JSON", "Crypto", "Service"]),
    tests("Console", ["CPO", "Web", "SQL", "Charging", "JSON", "Crypto", "Service"]),
    tests("Simulation", ["HAL", "LinuxHAL", "Web", "Charging", "JSON", "Service"]),
]

let package = Package(
    name: "kerb",
    products: [
        .executable(name: "kerb-edge", targets: ["kerb-edge"]),
        .executable(name: "kerb-cpo", targets: ["kerb-cpo"]),
        .executable(name: "kerb-sim", targets: ["kerb-sim"]),
    ],
    targets: foundations + ground + instruments + houses + doors + roofs + suites
)
