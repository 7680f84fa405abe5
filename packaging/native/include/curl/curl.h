/* Empty on purpose. librdkafka 2.12.1 includes this header under `#ifdef WITH_OAUTHBEARER_OIDC`, and its CMake
 * build defines that name as 0 when the feature is off. Nothing of libcurl is used or linked.
 * Found through C_INCLUDE_PATH, which .cargo/config.toml sets. */
