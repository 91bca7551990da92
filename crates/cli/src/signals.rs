//! When the system asks the process to end: Ctrl-C, and where there is one, the signal of service managers.

/// Waits for it.
#[cfg(unix)]
pub async fn end_asked() {
    use tokio::signal::unix::{SignalKind, signal};
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => drop(terminate.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}

/// Waits for it.
#[cfg(not(unix))]
pub async fn end_asked() {
    // Where Ctrl-C cannot be heard of, it ends the process by itself.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
