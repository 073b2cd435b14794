// Node-RED's settings in the tests: its own folder, one port on this machine, nothing fetched.
module.exports = {
    uiHost: "127.0.0.1",
    uiPort: Number(process.env.NODE_RED_PORT),
    flowFile: "flows.json",
    credentialSecret: false,
    telemetry: {enabled: false, updateNotification: false},
    functionExternalModules: false,
    externalModules: {
        autoInstall: false,
        palette: {allowInstall: false},
        modules: {allowInstall: false},
    },
    logging: {console: {level: "info", metrics: false, audit: false}},
};
