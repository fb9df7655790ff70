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

/// Of what is in the board's agent: no regular expressions, which weigh over a megabyte in it. One search
/// for text in a string brings all of them; `Service/Text.swift` has what is needed.
let lean: [SwiftSetting] = [
    .unsafeFlags(["-Xfrontend", "-disable-implicit-string-processing-module-import"])
]

/// Of what runs on a board and in no hot path of a server: size before speed.
let small: [SwiftSetting] = lean + [.unsafeFlags(["-Osize"], .when(configuration: .release))]

func module(
    _ name: String, in folder: String = "Sources", _ arrows: [String], embedding: [String] = [],
    _ more: [SwiftSetting] = []
) -> Target {
    .target(
        name: name, dependencies: arrows.map { .init(stringLiteral: $0) },
        path: "\(folder)/\(name)", resources: embedding.map { .embedInCode($0) },
        swiftSettings: strict + more)
}

func program(_ name: String, _ arrows: [String], _ more: [SwiftSetting] = []) -> Target {
    .executableTarget(
        name: name, dependencies: arrows.map { .init(stringLiteral: $0) },
        path: "Sources/\(name)", swiftSettings: strict + more)
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
    // The server's only: no target of the board may name it.
    .systemLibrary(
        name: "CPostgres", path: "Sources/System/CPostgres", pkgConfig: "libpq",
        providers: [.apt(["libpq-dev"])]),
    .systemLibrary(
        name: "COpenSSL", path: "Sources/System/COpenSSL", pkgConfig: "openssl",
        providers: [.apt(["libssl-dev"])]),
    .systemLibrary(
        name: "CYAML", path: "Sources/System/CYAML", pkgConfig: "yaml-0.1",
        providers: [.apt(["libyaml-dev"])]),
    // libcurl's functions, found in it by the first call: a board that fetches nothing loads none of it.
    .target(
        name: "CCurl", path: "Sources/System/CCurl",
        cSettings: [.unsafeFlags(["-O2", "-Wall", "-Wextra", "-Werror", "-fvisibility=hidden"])],
        linkerSettings: [.linkedLibrary("dl")]),
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
    module("Charging", [], small),
    module("JSON", ["Charging"], lean),
    module("Crypto", ["COpenSSL"], lean),
    module("Service", ["Charging", "CYAML"], small),
]

let instruments: [Target] = [
    module("SQL", ["Charging", "Service", "CSQLite"], lean),
    module("SQLPostgres", ["SQL", "Charging", "Service", "CPostgres"]),
    module("Web", ["Service", "JSON", "Crypto", "CWeb"], lean),
    module("HTTPClient", ["Service", "CCurl"], small),
    module("HAL", in: "hal", ["Charging", "Service"], small),
    module("LinuxHAL", in: "hal", ["HAL", "Charging", "Service", "CModbus", "CLinux"], small),
    module("OCPP", ["Charging", "JSON", "Service"], lean),
    module("OCPP16", ["OCPP", "Charging", "JSON"], lean),
]

let houses: [Target] = [
    module(
        "Station", ["HAL", "OCPP", "Web", "SQL", "Crypto", "Charging", "JSON", "Service"], small),
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
    module(
        "Alerts", ["CPO", "HTTPClient", "SQL", "Charging", "JSON", "Crypto", "Service"]),
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
        ], small),
    program(
        "kerb-cpo",
        [
            "CSMS", "OCPI", "Beckn", "Console", "Alerts", "CPO", "OCPP", "OCPP16", "Web",
            "HTTPClient", "SQL", "SQLPostgres", "Charging", "JSON", "Crypto", "Service",
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
    // The store of a test, on the engine that KERB_TEST_DATABASE names.
    .target(
        name: "StoreSupport", dependencies: ["SQL", "SQLPostgres", "Service", "TestSupport"],
        path: "Tests/StoreSupport", swiftSettings: strict),
    tests("Charging", ["JSON"]),
    tests("JSON", ["Charging"]),
    tests("Crypto", ["JSON"]),
    tests("Service", ["Charging"]),
    tests("SQL", ["Charging", "Service"]),
    tests("SQLPostgres", ["SQL", "StoreSupport", "Charging", "Service"]),
    tests("Web", ["Service", "JSON", "Crypto"]),
    tests("HTTPClient", ["Service", "Web", "Crypto"]),
    tests("HAL", ["Charging", "Service"]),
    tests("LinuxHAL", ["HAL", "Simulation", "Charging", "Service"]),
    tests("OCPP", ["Charging", "JSON", "Service"]),
    tests("OCPP16", ["OCPP", "Charging", "JSON"]),
    tests(
        "Station",
        ["HAL", "OCPP", "OCPP16", "Web", "SQL", "Crypto", "Charging", "JSON", "Service"]),
    tests("CPO", ["StoreSupport", "SQL", "Charging", "JSON", "Service"]),
    tests(
        "CSMS",
        [
            "CPO", "OCPP", "OCPP16", "Web", "StoreSupport", "SQL", "Charging", "JSON", "Crypto",
            "Service",
        ]),
    tests(
        "OCPI",
        [
            "CPO", "Web", "HTTPClient", "StoreSupport", "SQL", "Charging", "JSON", "Crypto",
            "Service",
        ]),
    tests(
        "Beckn",
        [
            "CPO", "Web", "HTTPClient", "StoreSupport", "SQL", "Charging", "JSON", "Crypto",
            "Service",
        ]),
    tests("Alerts", ["CPO", "HTTPClient", "StoreSupport", "SQL", "Charging", "JSON", "Service"]),
    tests(
        "Console",
        ["CPO", "Web", "StoreSupport", "SQL", "Charging", "JSON", "Crypto", "Service"]),
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
