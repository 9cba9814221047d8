//! Chapter 5: layers. overlayfs, whiteouts, diff and commit, bind mounts and volumes
