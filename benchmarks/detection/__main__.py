"""Run the simulated plant."""

from benchmarks.detection.plant import main

if __name__ == "__main__":
    main()
